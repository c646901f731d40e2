"""What is no causal decoder is refused by name in `check`; what is one has its values, in any wrapper."""

import pytest
import torch
import transformers as hf

import probes
from probes.concepts import Concept
from probes.errors import CheckpointError
from probes.lineage import check
from probes.lineage.decoders import context_window, decoder_blocks
from tests.checkpoint_makers import lineage_of, make_model, make_tokenizer, of_folder

SIZES = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = SIZES | {"intermediate_size": 48, "num_key_value_heads": 2, "pad_token_id": 0}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
STATE = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2}
CONCEPT = Concept(
    name="pets",
    examples=[
        {"pair": f"p{i}", "label": label, "text": f"the {pet} sat on the mat" + " and ran" * (i % 3)}
        for i in range(6)
        for label, pet in ((1, "cat"), (0, "dog"))
    ],
)


def gemma3n():
    config = hf.Gemma3nTextConfig(
        **TEXT,
        head_dim=16,
        sliding_window=8,
        vocab_size_per_layer_input=320,
        hidden_size_per_layer_input=8,
        num_kv_shared_layers=0,
        altup_num_inputs=2,
        laurel_rank=4,
        layer_types=None,
        activation_sparsity_pattern=None,
    )
    return hf.Gemma3nForCausalLM(config)


def t5():
    config = hf.T5Config(
        vocab_size=320, d_model=32, d_ff=48, num_layers=2, num_heads=4, d_kv=8, decoder_start_token_id=0
    )
    return hf.T5ForConditionalGeneration(config)


def bart():
    config = hf.BartConfig(
        vocab_size=320,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
    )
    return hf.BartForConditionalGeneration(config)


def mamba2():
    config = hf.Mamba2Config(**STATE, state_size=4, num_heads=4, head_dim=16, n_groups=1, chunk_size=8)
    return hf.Mamba2ForCausalLM(config)


REFUSED = {
    "gemma3n": (gemma3n, "its Gemma3nTextDecoderLayer takes or returns [2, 1, 3, 32] for [1, 3] tokens"),
    "mamba": (
        lambda: hf.MambaForCausalLM(hf.MambaConfig(**STATE, state_size=4)),
        "MambaForCausalLM (model type mamba) has no attention heads",
    ),
    "mamba2": (mamba2, "Mamba2ForCausalLM (model type mamba2) has no attention heads"),
    "rwkv": (lambda: hf.RwkvForCausalLM(hf.RwkvConfig(**STATE)), "RwkvForCausalLM (model type rwkv) has no"),
    "bert": (
        lambda: hf.BertForMaskedLM(hf.BertConfig(**SIZES, intermediate_size=48)),
        "BertLMHeadModel is not causal",
    ),
    "roberta": (
        lambda: hf.RobertaForMaskedLM(hf.RobertaConfig(**SIZES, intermediate_size=48)),
        "RobertaForCausalLM is not causal",
    ),
    "albert": (
        lambda: hf.AlbertForMaskedLM(hf.AlbertConfig(**SIZES, intermediate_size=48)),
        "holds AlbertForMaskedLM (model type albert), which is no causal language model",
    ),
    "t5": (t5, "holds T5ForConditionalGeneration (model type t5), which is an encoder-decoder"),
    "bart": (bart, "holds BartForConditionalGeneration (model type bart), which is an encoder-decoder"),
}


def saved(folder, model, name="model"):
    model.save_pretrained(folder / name)
    make_tokenizer().save_pretrained(folder / name)
    return lineage_of(folder, base=of_folder(name))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_decoder_is_refused_by_name(folder, name):
    torch.manual_seed(0)
    make, reason = REFUSED[name]
    model = make().eval()
    lineage = saved(folder, model)
    [problem] = [result for result in check(lineage, device="cpu") if result.level == "error"]
    assert reason in problem.what
    for stage in (lineage["base"], model):
        with pytest.raises(CheckpointError) as caught:
            probes.hooked(stage) if stage is not model else decoder_blocks(model)
        assert "\n" not in str(caught.value)
        assert type(model).__name__ in str(caught.value) or reason in str(caught.value)


def llava():
    config = hf.LlavaConfig(
        text_config=hf.LlamaConfig(**TEXT),
        vision_config=hf.CLIPVisionConfig(**VISION, projection_dim=16),
        image_token_id=319,
    )
    return hf.LlavaForConditionalGeneration(config)


def gemma3():
    config = hf.Gemma3Config(
        text_config=TEXT | {"head_dim": 8, "sliding_window": 8},
        vision_config=VISION,
        mm_tokens_per_image=1,
        image_token_index=319,
    )
    return hf.Gemma3ForConditionalGeneration(config)


def idefics3():
    config = hf.Idefics3Config(
        text_config=hf.LlamaConfig(**TEXT), vision_config=dict(VISION), image_token_id=319
    )
    return hf.Idefics3ForConditionalGeneration(config)


def jamba():
    config = hf.JambaConfig(
        **TEXT,
        use_mamba_kernels=False,
        attn_layer_period=2,
        attn_layer_offset=1,
        num_experts=2,
        expert_layer_period=2,
        mamba_d_state=4,
        mamba_dt_rank=4,
    )
    return hf.JambaForCausalLM(config)


def recurrent_gemma():
    config = hf.RecurrentGemmaConfig(**TEXT, lru_width=32, attention_window_size=16)
    return hf.RecurrentGemmaForCausalLM(config)


@pytest.mark.filterwarnings("ignore::UserWarning:transformers")
@pytest.mark.parametrize("make", [llava, gemma3, idefics3, jamba, recurrent_gemma])
def test_wrappers_and_hybrids_give_the_values_of_transformers(folder, make):
    torch.manual_seed(0)
    model = make().eval()
    stage = saved(folder, model)["base"]
    assert not [result for result in check(stage.lineage, device="cpu") if result.level == "error"]
    by_hand = probes.LoadedStage.from_model(model, make_tokenizer())
    read = [probes.extract(s, CONCEPT, controls=(), progress=False).values for s in (stage, by_hand)]
    torch.testing.assert_close(torch.tensor(read[0]), torch.tensor(read[1]), rtol=1e-5, atol=1e-5)
    for row, example in enumerate(CONCEPT.examples):
        ids = by_hand.tokenizer(example.text, return_tensors="pt").input_ids
        with torch.inference_mode():
            states = model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        torch.testing.assert_close(torch.tensor(read[0][0, row]), states[1][0, -1], rtol=1e-4, atol=1e-4)


def test_names_of_the_context_window():
    assert context_window(make_model().config) == 128
    assert context_window(hf.GPT2Config(n_positions=64)) == 64
    assert context_window(hf.MptConfig(max_seq_len=32)) == 32
    assert context_window(hf.MambaConfig()) is None
