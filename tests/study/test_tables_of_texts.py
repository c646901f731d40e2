"""Texts as people have them go through a whole survey, or are refused before a model is loaded."""

import sys

import numpy as np
import pytest

import probes
from probes.concepts import Concept
from probes.errors import InputError

WORDS = ["chair", "table", "book", "lamp", "Ohio", "Texas", "red", "blue", "near", "far"]
WRITTEN = {
    "results.parquet",
    "verdicts.parquet",
    "tests.parquet",
    "comparisons.parquet",
    "report.html",
    "run.json",
}


def frames(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [f"{' '.join(rng.choice(WORDS, 5))} {rng.integers(10**6)}" for _ in range(n)]


def unpaired(folder):
    path = folder / "prices.csv"
    rows = [f"the {('costly', 'cheap')[i % 2]} {frame},{i % 2}" for i, frame in enumerate(frames(80))]
    path.write_text("\n".join(["statement,label", *rows]))
    return path


def rare(folder):
    rows = [
        {"text": f"the {('costly', 'cheap')[i < 10]} {f}", "label": int(i < 10)}
        for i, f in enumerate(frames(200))
    ]
    return Concept.from_frame(rows, name="prices")


def one_incomplete_pair(folder):
    rows = [
        {"pair": f"p{i}", "label": label, "text": f"the {word} {frame}"}
        for i, frame in enumerate(frames(40))
        for label, word in ((1, "cheap"), (0, "costly"))
    ]
    return Concept(name="prices", examples=rows[:-1])


def contradictory(folder):
    rows = [{"text": frame, "label": label} for frame in frames(40) for label in (0, 1)]
    return Concept.from_frame(rows, name="prices")


def repeated(folder):
    labels = np.random.default_rng(1).integers(0, 2, 60)
    rows = [{"text": f, "label": int(y)} for f, y in zip(frames(60), labels, strict=True) for _ in range(3)]
    return Concept.from_frame(rows, name="prices")


@pytest.mark.parametrize(
    ("concept", "decodable"),
    [(unpaired, True), (rare, True), (one_incomplete_pair, True), (contradictory, False), (repeated, False)],
)
def test_tables_are_judged(tiny_lineage_dir, tmp_path, concept, decodable):
    done = probes.survey(
        tiny_lineage_dir,
        [concept(tmp_path)],
        tmp_path / "out",
        stages=["base"],
        quick=True,
        static=False,
        progress=False,
    )
    row = done.tests.filter(test="decodable").row(0, named=True)
    assert (row["p"] < 0.05) == decodable
    assert {path.name for path in (tmp_path / "out").iterdir()} >= WRITTEN
    verdict = done.verdicts["verdict"].item()
    assert verdict in (("absent", "inconclusive") if not decodable else ("inconclusive",))


def test_what_cannot_be_split_is_refused_before_a_model_is_loaded(tiny_lineage_dir, tmp_path, monkeypatch):
    survey_module = sys.modules[probes.survey.__module__]
    monkeypatch.setattr(survey_module, "run_context", lambda *_, **__: pytest.fail("a model was loaded"))
    few = Concept.from_frame([{"text": f, "label": i % 2} for i, f in enumerate(frames(12))], name="few")
    leaking = one_incomplete_pair(tmp_path)
    parts = ["train", "select", "test", "test"]
    rows = [
        example.model_dump(exclude_none=True) | {"split": parts[i // 2 % 4]}
        for i, example in enumerate(leaking.examples)
    ]
    rows[4]["text"] = rows[0]["text"]
    for concept, message in (
        (few, "have 20 pairs or more in all"),
        (Concept(name="leaking", examples=rows), "pair 'p0' is in the train and the test split"),
    ):
        with pytest.raises(InputError, match=message):
            probes.survey(tiny_lineage_dir, [concept], tmp_path / "out", static=False, progress=False)
