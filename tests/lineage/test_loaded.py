"""A loaded stage: one given by hand, its one-line repr, the libraries' own objects around it."""

import peft
import pytest
import torch

from probes.errors import InputError, TokenizerError
from probes.lineage import LoadedStage
from tests.checkpoint_makers import (
    OTHER_TEMPLATE,
    lineage_of,
    logits,
    make_adapter,
    make_model,
    make_tokenizer,
    of_adapter,
    of_folder,
)


def test_a_model_given_by_hand():
    model, tokenizer = make_model().train(), make_tokenizer()
    loaded = LoadedStage.from_model(model, tokenizer, name="mine")
    assert loaded.model is model
    assert not model.training
    assert (loaded.name, loaded.stage, loaded.lineage) == ("mine", None, None)
    assert loaded.reference_tokenizer is tokenizer
    same = LoadedStage.from_model(make_model(), make_tokenizer())
    assert same.fingerprint == loaded.fingerprint
    others = [
        LoadedStage.from_model(make_model(seed=1), make_tokenizer()),
        LoadedStage.from_model(make_model(), make_tokenizer(template=OTHER_TEMPLATE)),
        LoadedStage.from_model(make_model(), make_tokenizer(280)),
    ]
    assert len({loaded.fingerprint, *(other.fingerprint for other in others)}) == 4
    with pytest.raises(TokenizerError, match="tokenizer has 330 ids and the model 320"):
        LoadedStage.from_model(model, make_tokenizer(extra=[f"<{i}>" for i in range(30)]))
    with pytest.raises(InputError, match="from_model got NoneType as the tokenizer: expected the model's"):
        LoadedStage.from_model(model, None)
    for other in (torch.nn.Linear(2, 2), make_model().model):
        kind = type(other).__name__
        with pytest.raises(InputError, match=f"from_model got {kind}: expected a transformers causal lang"):
            LoadedStage.from_model(other, tokenizer)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True` and a tied layer:UserWarning")
@pytest.mark.parametrize("targets", [["q_proj", "down_proj"], ["embed_tokens"]])
def test_an_adapter_that_is_not_merged_yet(targets):
    adapted = make_adapter(make_model(), target_modules=targets)
    expected = logits(adapted)
    loaded = LoadedStage.from_model(adapted, make_tokenizer())
    assert type(loaded.model).__name__ == "LlamaForCausalLM"
    torch.testing.assert_close(logits(loaded.model), expected, rtol=1e-5, atol=1e-5)
    assert isinstance(adapted, peft.PeftModel), "the adapted model itself is left alone"
    torch.testing.assert_close(logits(adapted), expected, rtol=0, atol=0)
    prompt = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    with pytest.raises(InputError, match="PeftModelForCausalLM that changes the prompt"):
        LoadedStage.from_model(peft.get_peft_model(make_model(), prompt), make_tokenizer())


def test_the_repr_is_one_line_however_large_the_model_is(folder):
    loaded = lineage_of(folder, base=of_folder())["base"].load(device="cpu")
    assert repr(loaded) == (
        "LoadedStage('base', lineage='x', model=LlamaForCausalLM, parameters=25,760, "
        f"fingerprint={loaded.fingerprint[:12]})"
    )
    by_hand = LoadedStage.from_model(make_model(), make_tokenizer(), name="mine")
    assert repr(by_hand).startswith("LoadedStage('mine', model=LlamaForCausalLM, parameters=25,760, ")


def test_native_objects(folder, originals):
    ids = torch.arange(3, 40)[None]
    loaded = lineage_of(folder, base=of_folder(), first=of_adapter())["first"].load(device="cpu")
    bridge = loaded.to_transformer_lens()
    assert bridge.tokenizer("the cat").input_ids == loaded.tokenizer("the cat").input_ids
    assert bridge.to_tokens("the cat").tolist() == [[0, *loaded.tokenizer("the cat").input_ids]]
    with torch.inference_mode():
        torch.testing.assert_close(bridge(ids)[0], originals[1]["first"], rtol=1e-3, atol=1e-3)
    assert loaded.model.config._attn_implementation == "sdpa", "the loaded model itself is left alone"
    nn_model = loaded.to_nnsight()
    with nn_model.trace(ids):
        out = nn_model.lm_head.output.save()
    torch.testing.assert_close(out[0], originals[1]["first"], rtol=1e-4, atol=1e-4)
    assert loaded.stage is not None
    assert type(loaded.stage.to_nnsight()) is type(nn_model)
    by_hand = LoadedStage.from_model(make_model(), make_tokenizer())
    assert by_hand.to_transformer_lens().original_model is not by_hand.model
    assert by_hand.model.config._attn_implementation == "sdpa"
    assert by_hand.tokenizer.pad_token is None
