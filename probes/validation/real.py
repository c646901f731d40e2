"""The exam on real weights: sets of minimal pairs in English, whose keys do not come from the instrument."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from tqdm import tqdm

from probes.activations import run_context
from probes.concepts import ChoiceItem, Concept, Example
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.lineage import LoadedStage, Stage
from probes.measure import SAVINGS, Plan, measure_stage
from probes.validation.answers import KeptAnswers
from probes.validation.exam import usual_pipelines
from probes.validation.keys import measured_key
from probes.verdicts import CRITERIA, Criteria, judge_all

FILE = Path(__file__).parent / "items" / "real.toml"
WORDS_AS_TEMPLATES = 10
"""With so many pairs of words, tests are on other words; otherwise on other frames."""
QUICK = ("animacy", "mood_before")
"""The sets of a quick exam: one that the key calls used, and one that it calls unused."""


@dataclass(frozen=True)
class RealSet:
    """A set of minimal pairs.

    Example
    -------
    >>> from probes.validation import real_sets
    >>> one = real_sets(["gender_reflexive"])[0]
    >>> item = one.concept.choices[0]
    >>> item.prompt, item.reversed, item.positive
    ('The woman at the counter hurt', 'The man at the counter hurt', ' herself')
    """

    name: str
    expected: str
    """ "used" or "unused": what the writer of the set thought. The key is measured."""
    half: str
    """ "set" or "held out", as in `probes.validation.Question`."""
    content: Mapping[str, Any]
    """Frames, subjects, words and options, as they stand in the file."""

    @cached_property
    def concept(self) -> Concept:
        """The pairs of texts, and a choice item of each."""
        content = self.content
        subjects = content.get("subjects", [""])
        options = content.get("options") or [[content["positive"], content["negative"]]]
        by_words = len(content["words"]) >= WORDS_AS_TEMPLATES
        items, examples = [], []
        for f, frame in enumerate(content["frames"]):
            for s, subject in enumerate(subjects):
                for w, words in enumerate(content["words"]):
                    texts = [frame.format(s=subject, x=word) for word in words]
                    texts = [text[0].upper() + text[1:] for text in texts]
                    name = f"{f:02d}-{s}-{w:02d}"
                    positive, negative = options[(s + w) % len(options)]
                    template = f"words {w}" if by_words else f"frame {f}"
                    items.append(
                        ChoiceItem(
                            id=name,
                            prompt=texts[0],
                            reversed=texts[1],
                            positive=positive,
                            negative=negative,
                            completion=True,
                            template=template,
                        )
                    )
                    examples += [
                        Example(pair=name, label=label, text=text, template=template)
                        for label, text in zip((1, 0), texts, strict=True)
                    ]
        return Concept(name=self.name, examples=tuple(examples), choices=tuple(items))


def real_sets(names: Sequence[str] | None = None) -> list[RealSet]:
    """The packaged sets; only those with these names, where some are given.

    Raises
    ------
    InputError : there is no set of a name.

    Example
    -------
    >>> from probes.validation import real_sets
    >>> sum(one.expected == "used" for one in real_sets()), len(real_sets())
    (16, 32)
    """
    table = tomllib.loads(FILE.read_text(encoding="utf-8"))
    if unknown := [name for name in names or () if name not in table]:
        raise InputError(f"no set {unknown[0]!r}: expected some of {', '.join(table)}")
    chosen = {name: table[name] for name in names or table}
    return [
        RealSet(name, content.pop("expected"), content.pop("half"), content)
        for name, content in chosen.items()
    ]


def examine_real(
    stage: Stage | LoadedStage,
    sets: Sequence[RealSet] | None = None,
    *,
    criteria: Criteria = CRITERIA,
    keep: str | Path | None = None,
    quick: bool = False,
    progress: bool = True,
) -> pl.DataFrame:
    """Ask the toolkit about sets of minimal pairs in a real model, and measure the key of each.

    Parameters
    ----------
    stage : the model.
    sets : by default all packaged ones.
    criteria : the thresholds of the verdicts.
    keep : a table (.parquet) to which answers are added as they come in. What it holds is not done again.
    quick : whether fewer items are exchanged.
    progress : whether a progress bar is shown on stderr.

    Returns
    -------
    One row a set, in the columns of `probes.validation.answers.ANSWERS`. The truth is that of the key:
    "internal" where the concept is certainly used, "unused" where it certainly is not, and "uncertified".

    Example
    -------
    The tiny model knows no English, so nothing is certified as used:

    >>> from probes.validation import examine_real, real_sets
    >>> table = examine_real(stage, real_sets(["number_was"]), progress=False)
    >>> table["exam"].to_list(), table["truth"].item() in ("unused", "uncertified")
    (['real'], True)
    """
    kept = KeptAnswers(keep)
    context = run_context(stage, progress=False)
    done = set(kept.table.filter(exam="real", size=context.name)["kind"])
    left = [one for one in (real_sets() if sets is None else sets) if one.name not in done]
    for one in tqdm(left, desc=f"minimal pairs, {context.name}", file=sys.stderr, disable=not progress):
        loaded = context.require_loaded()
        key = measured_key(loaded.model, context.tokenizer, one.concept.choices)
        plan = real_plan(criteria, quick)
        measurement = measure_stage(context, [one.concept], plan)[one.name]
        [judged] = judge_all(measurement.tests, criteria=criteria)
        carried = f", of which whole states carry {key.carried.short}" if key.carried else ""
        kept.add(
            [
                {
                    "exam": "real",
                    "half": one.half,
                    "kind": one.name,
                    "size": context.name,
                    "stage": one.expected,
                    "truth": {"used": "internal"}.get(key.label, key.label),
                    "answer": judged.verdict.label,
                    "decided_by": judged.verdict.decided_by,
                    "evidence": f"key: the text turns {key.effect.short} of the choice{carried}\n{judged}",
                    **usual_pipelines(measurement),
                }
            ]
        )
    return kept.table


def real_plan(criteria: Criteria, quick: bool = False) -> Plan:
    """The plan of a survey, but without surface baselines, which decide nothing, and without alignment."""
    plan = Plan(
        position="mean",
        baselines=False,
        items=20,
        train_items=16,
        search_items=8,
        forms=("asked", "reversed"),
        wordings=1,
        every=4,
        dimensions=(4,),
        alignment_texts=(),
        damage_texts=neutral_texts(8),
        damage_limit=criteria.damage,
        savings=SAVINGS,
        thresholds=criteria.thresholds(),
    )
    return replace(plan, train_items=10, search_items=6, items=12, every=6) if quick else plan
