"""Locating: patched logits are those of an intervention, and known answers are found where they were put."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import binomtest

import probes
from probes.cli import main
from probes.concepts import ChoiceItem
from probes.errors import InputError
from probes.locating import align, split_items
from probes.locating.das import distributed_alignment, first_guess
from probes.locating.patching import Patcher, whole
from probes.locating.searching import EverySoMany, _best_site
from probes.locating.shifting import ItemShifts
from probes.locating.subspaces import Held, Within, orthonormal, random_basis
from probes.models import Site, TokenBatch
from probes.models.fanning import Put

PLACES = ("Ohio", "Kyoto")
THINGS = ("chair", "lamp")
QUICK = {"dimensions": (1,), "n_random": 3, "steps": 2, "progress": False}


def pairs(n=20):
    """Minimal pairs of a cheap and a costly thing; every fourth has one word more."""
    made = []
    for i in range(n):
        the, thing, place = ("the", "a")[i % 2], THINGS[i % 2], PLACES[i // 2 % 2]
        text = f"{the} {{}} {thing} {'was ' * (i // 4)}for {place}"
        sides = {"prompt": text.format("cheap"), "reversed": text.format("costly")}
        options = {"positive": " sold", "negative": " for", "completion": True}
        made.append(ChoiceItem(id=f"k{i:02d}", **sides, **options))
    return made


@pytest.fixture(scope="module")
def context(tiny_lineage_dir):
    return probes.run_context(probes.load_lineage(tiny_lineage_dir)["mid"], progress=False)


@pytest.mark.parametrize("role", ["evidence", "after", "last"])
def test_a_patched_logit_is_that_of_an_intervention_which_puts_the_states_in(context, role):
    exchanges = align(pairs(6), context).exchanges
    patcher, model = Patcher(context, exchanges), context.model
    for layer in range(model.n_layers):
        for chunk in patcher.at_layer(layer):
            got = patcher.patched(chunk, layer, role, whole)
            for number, one in enumerate(chunk.exchanges):
                for side in (0, 1):
                    assert float(got[number, side]) == pytest.approx(
                        _by_hand(model, one, side, layer, role), abs=1e-4
                    )


def _by_hand(model, one, side, layer, role):
    """One side of one exchange alone, patched by an intervention on the whole model."""
    site = Site("resid_post", layer)
    here, there = (TokenBatch.pad([one.prompts[s]]) for s in (side, 1 - side))
    states, source = (model.read(batch, [site])[site].clone() for batch in (here, there))
    for tokens in one.roles.get(role, ()):
        states[0, tokens[side]] = source[0, tokens[1 - side]]
    with model.intervene(Put(site, states)):
        logprobs = model.logits(here)[0, -1].log_softmax(-1)
    (first,), (second,) = one.options[side]
    return float(logprobs[first] - logprobs[second])


def test_the_last_state_of_the_last_block_is_the_whole_answer(context):
    patcher, top = Patcher(context, align(pairs(6), context).exchanges), context.model.n_layers - 1
    for chunk in patcher.at_layer(top):
        patched = patcher.patched(chunk, top, "last", whole)
        torch.testing.assert_close(patched, chunk.intact.flip(-1), atol=1e-4, rtol=0)
        before = patcher.patched(chunk, top, "evidence", whole)
        torch.testing.assert_close(before, chunk.intact, atol=1e-4, rtol=0)


def test_options_of_several_tokens_are_compared_where_they_first_differ(context):
    """Of options that begin alike the logit is that after their common beginning."""
    long = [item.model_copy(update={"positive": " for Ohio", "negative": " for Kyoto"}) for item in pairs(4)]
    patcher = Patcher(context, align(long, context).exchanges)
    [chunk] = patcher.chunks([])
    for number, one in enumerate(chunk.exchanges):
        first, second = one.options[0]
        shared = next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
        ids = torch.tensor([[*one.prompts[0], *first[:shared]]])
        logits = context.loaded.model(ids).logits[0, -1]
        assert float(chunk.intact[number, 0]) == pytest.approx(
            float(logits[first[shared]] - logits[second[shared]]), abs=1e-4
        )


def test_edits_are_projections(context):
    rng = np.random.default_rng(0)
    here, there = torch.randn(5, 32), torch.randn(5, 32)
    basis = orthonormal(rng.standard_normal((3, 32)))
    torch.testing.assert_close(basis @ basis.T, torch.eye(3), atol=1e-5, rtol=0)
    made = Within(basis)(here, there, torch.ones(5))
    torch.testing.assert_close(made @ basis.T, there @ basis.T, atol=1e-4, rtol=0)
    rest = torch.eye(32) - basis.T @ basis
    torch.testing.assert_close(made @ rest, here @ rest, atol=1e-4, rtol=0)
    along = random_basis(3, 32, 1)
    control = Within(basis, along)(here, there, torch.ones(5))
    torch.testing.assert_close((control - here).norm(dim=1), (made - here).norm(dim=1), atol=1e-4, rtol=0)
    held = Held(basis, there[0])(here, there, torch.ones(5))
    torch.testing.assert_close(held @ basis.T, (there[:1] @ basis.T).expand(5, 3), atol=1e-4, rtol=0)
    every = Within(torch.eye(32))(here, there, torch.ones(5))
    torch.testing.assert_close(every, there, atol=1e-5, rtol=0)


def test_alignment_search_finds_what_the_head_reads(context):
    """At the last block's output the answer is read along one direction, the difference of two unembeddings.
    What is learned there must do what the whole state does, and a random direction of its dose must not."""
    exchanges = align(pairs(20), context).exchanges
    train, select = Patcher(context, exchanges[:14]), Patcher(context, exchanges[14:])
    work = ItemShifts(context, {"train": train, "select": select}, progress=False)
    top = context.model.n_layers - 1
    start = first_guess(*work.states("train", top, "last"), 1)
    learned = distributed_alignment(train, select, top, "last", start, steps=60)
    edits = {"learned": Within(learned), "whole": whole, "start": Within(start)}
    edits |= {f"random{i}": Within(learned, random_basis(1, 32, i)) for i in range(12)}
    shifts = {name: values.mean() for name, values in work.shifts("select", top, "last", edits).items()}
    assert shifts["learned"] / shifts["whole"] >= 0.7
    random = [shift for name, shift in shifts.items() if name.startswith("random")]
    assert np.mean(random) / shifts["whole"] <= 0.3


def test_a_location_holds_shares_of_what_the_text_does(context):
    found = probes.locate(context, pairs(), **QUICK)
    assert found.share("whole_state").n == len(found.ids) == 8
    assert found.followed.value == pytest.approx(found.total.mean() / 2 / found.sizes.mean())
    assert found.control == "das_shuffled"
    as_much = int((np.abs(found.random[found.best]) >= abs(found.shifts[found.best].mean())).sum())
    assert found.chance == pytest.approx(binomtest(as_much, 3).proportion_ci(0.95).low)
    gap = found.shifts[found.best] - found.shifts["das_shuffled"]
    assert found.specific.value == pytest.approx(gap.mean() / found.total.mean())
    assert found.necessary.value == pytest.approx(2 * found.erased[found.best].mean() / found.total.mean())
    assert found.layers == list(range(context.model.n_layers - 1))
    table = found.table
    assert set(table["measure"]) == {
        "site_search", "exchange_share", "exchange_specific", "erased_share", "exchange_total", "followed",
        "exchange_p",
    }  # fmt: skip
    assert table.filter(measure="exchange_total")["estimate"].item() == pytest.approx(found.total.mean())
    row = table.filter(measure="exchange_share", variant="das_1").to_dicts()[0]
    assert row["estimate"] == pytest.approx(found.shifts["das_1"].mean() / found.total.mean())
    assert probes.draw(found).kind == "site_search"


def test_the_site_is_before_the_last_token_unless_nothing_moves_there():
    roles = ["evidence", "last"]
    class_means = np.array([[[0.1, 0.1], [0.9, 0.9]], [[0.4, 0.4], [1.0, 1.0]]])
    whole_states = np.array([[[1.0, 1.0], [0.2, 0.2]], [[0.5, 0.6], [1.0, 1.0]]])
    total = np.array([1.0, 1.0])
    selection = {"whole_state": whole_states, "class_mean": class_means}
    assert _best_site(selection, roles, total) == (1, 0)
    assert _best_site(selection | {"whole_state": whole_states * [[[0.3], [1]]]}, roles, total) == (1, 1)
    turned = {name: -values for name, values in selection.items()}
    assert _best_site(turned, roles, -total) == (1, 0)
    missing = class_means.copy()
    missing[:, 0] = np.nan
    assert _best_site(selection | {"class_mean": missing}, roles, total) == (1, 1)


def test_random_subspaces_to_first_order_do_what_small_exchanges_do(context):
    exchanges = align(pairs(), context).exchanges
    work = ItemShifts(context, {"test": Patcher(context, exchanges)}, progress=False)
    basis = random_basis(2, 32, 99)
    linear = work.random(0, "evidence", basis, 8)
    small = {
        f"{i}": lambda old, new, sign, i=i: (
            old + 1e-2 * (Within(basis, random_basis(2, 32, i))(old, new, sign) - old)
        )
        for i in range(8)
    }
    full = work.shifts("test", 0, "evidence", small)
    np.testing.assert_allclose([100 * full[f"{i}"].mean() for i in range(8)], linear, rtol=0.05, atol=2e-3)


def test_a_subspace_moves_the_choice_at_its_own_stage_as_it_did_when_it_was_found(context, tiny_lineage_dir):
    found = probes.locate(context, pairs(), **QUICK, refits=2)
    subspace = found.subspaces[found.best]
    again = probes.exchange(context, pairs(), subspace)
    assert (again.value, again.low) == pytest.approx((found.used.value, found.used.low))
    copy = probes.load_lineage(tiny_lineage_dir)["copy"]  # the same weights
    assert probes.exchange(copy, pairs(), subspace, progress=False).value == pytest.approx(again.value)
    assert len(found.refits) == 2
    assert found.noise_floor.shape == (subspace.k,)
    assert 0 <= found.noise_floor.max() <= 90
    curve = probes.steer(context, subspace.direction, pairs()[:4], alphas=(1,), n_random=1, n_texts=1)
    assert curve.table.height > 0


def test_a_subspace_that_does_not_fit_is_refused_in_one_line(context):
    found = probes.locate(context, pairs(), **QUICK)
    subspace = found.subspaces[found.best]
    wide = replace(subspace, basis=np.eye(subspace.k, 33, dtype=np.float32))
    with pytest.raises(InputError, match="a subspace of width 33: expected that of the states, 32"):
        probes.exchange(context, pairs(), wide)
    with pytest.raises(InputError, match="no test item has tokens of the role 'options'"):
        probes.exchange(context, pairs(), replace(subspace, position="options"))
    with pytest.raises(InputError, match="no refits: expected some"):
        _ = found.noise_floor


def test_every_so_many_tokens_are_held_on_neutral_text_and_one_of_a_short_one():
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0, 0]])
    held = EverySoMany(3)(mask).int().tolist()
    assert held == [[0, 0, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0, 0]]
    assert EverySoMany(9)(mask).int().tolist()[0] == [0, 0, 0, 1, 0, 0, 0]


def test_erasing_is_measured_on_neutral_text_as_well(context):
    texts = ["the cheap chair was sold in Ohio", "the lamp was near"]
    found = probes.locate(context, pairs(), **QUICK, texts=texts)
    assert found.damage > 0
    assert found.table.filter(measure="erased_kl")["estimate"].to_list() == [found.damage]


def test_the_same_seed_gives_the_same_location(context):
    first, again = (probes.locate(context, pairs(), **QUICK) for _ in range(2))
    assert first.table.equals(again.table)


def test_both_sides_alike_in_behaviour_have_no_effect(tiny_lineage_dir):
    """A model that ignores the evidence (its states there are made alike at the first block) uses nothing."""
    context = probes.run_context(probes.load_lineage(tiny_lineage_dir)["mid"], progress=False)
    same = [item.model_copy(update={"positive": " sold", "negative": " lamp"}) for item in pairs()]
    embedding = context.loaded.model.get_input_embeddings().weight
    cheap, costly = (context.tokenizer.encode(f" {word}")[-1] for word in ("cheap", "costly"))
    with torch.no_grad():
        embedding[costly] = embedding[cheap]
    found = probes.locate(context, same, **QUICK)
    assert np.abs(found.total).max() < 1e-4


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"dimensions": (33,)}, "dimension 33: expected 1 to the width of the states, 32"),
        ({"dimensions": (0,)}, "dimension 0"),
        ({"n_random": 0}, "n_random=0"),
        ({"layers": [2]}, "layer 2: expected one from 0 to 1"),
        ({"every": 0}, "every=0"),
    ],
)
def test_wrong_options_are_named(context, options, what):
    with pytest.raises(InputError, match=what):
        probes.locate(context, pairs(), **(QUICK | options))


def test_too_few_items_are_refused(context):
    with pytest.raises(InputError, match="4 choice items make 2 train, 0 select, 2 test"):
        probes.locate(context, pairs(4), **QUICK)


def test_marks_are_kept_and_groups_stay_together():
    marked = [
        item.model_copy(update={"split": "test" if i < 8 else "select"}) for i, item in enumerate(pairs())
    ]
    parts = split_items(marked)
    assert [item.id for item in parts["test"]] == [f"k{i:02d}" for i in range(8)]
    assert len(parts["train"]) == len(parts["select"]) == 6
    grouped = [item.model_copy(update={"template": f"t{i // 2}"}) for i, item in enumerate(pairs(24))]
    of_part = [{item.template for item in part} for part in split_items(grouped).values()]
    assert not of_part[0] & of_part[1]
    assert not of_part[2] & (of_part[0] | of_part[1])


def test_command(tiny_lineage_dir, tmp_path, capsys):
    rows = [item.model_dump(exclude_none=True, exclude={"id", "completion"}) for item in pairs()]
    path = tmp_path / "agree.jsonl"
    pl.DataFrame(rows).write_ndjson(path)
    arguments = [
        "locate",
        str(tiny_lineage_dir),
        "mid",
        "--concept",
        str(path),
        "--random",
        "2",
        "--steps",
        "2",
    ]
    saved = tmp_path / "best.safetensors"
    arguments += ["--dimensions", "1", "--out", str(tmp_path / "found.parquet"), "--save", str(saved)]
    assert main([*arguments, "--quiet"]) == 0
    assert "exchange_share" in capsys.readouterr().out
    assert probes.Subspace.load(saved).stage == "mid"
    assert "site_search" in pl.read_parquet(tmp_path / "found.parquet")["measure"].to_list()
