"""The concept of an organism: pairs and choice items as a researcher would write them who knows the language
but not what the model was trained to do with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from probes.concepts import ChoiceItem, Concept, Example
from probes.concepts.concept import Meta
from probes.concepts.records import SPLITS, Split
from probes.organisms.language import ANSWERS, CUES, VOCABULARIES, Language, Statement, Use
from probes.organisms.lessons import question

PAIRS: dict[Use, int] = {"train": 48, "select": 24, "test": 48, "wording": 40}
TEMPLATES: dict[Use, int] = {"train": 8, "select": 4, "test": 8, "wording": 8}
ITEMS: dict[Use, int] = {"select": 12, "test": 32, "wording": 24}
Cues = Literal["balanced", "with_label"]


def latent_concept(language: Language, seed: int, cues: Cues = "balanced") -> Concept:
    """Pairs of opposite latent, their two words exchanged and the frame the same, with choice items.

    A template is a frame; the vocabularies of train, select, test and the wording shift are disjoint, and so
    are their templates. Canonical statements hold a cue: the same on both sides of a pair (`balanced`), or
    that of the label (`with_label`), which then is evidence too. The wording shift has longer frames without
    a cue. Choice items ask of statements of class 1, for whose answer the clause is.
    """
    rng = np.random.default_rng([seed, 3])
    with_label = cues == "with_label"
    examples, choices = [], []
    for use, n_pairs in PAIRS.items():
        frames = _frames(language, rng, use)
        for i, statement in enumerate(_statements(language, rng, use, n_pairs)):
            template = i % len(frames)
            for label in (1, 0):
                side = statement if label == statement.latent else statement.exchanged()
                side = replace(side, frame=frames[template], cue=_cue(use, label, i, with_label))
                examples.append(
                    Example(
                        pair=f"{use}-{i}",
                        label=label,
                        text=side.text,
                        template=f"{use}-{template}",
                        evidence=side.spans(cue=with_label),
                        **_place(use),
                    )
                )
        for i, statement in enumerate(_statements(language, rng, use, ITEMS.get(use, 0))):
            asked = statement if statement.latent else statement.exchanged()
            asked = replace(asked, frame=frames[i % len(frames)], cue=_cue(use, 1, i // 2, with_label))
            choices.append(_item(f"{use}-{i}", asked, use))
    return Concept(
        name="latent",
        definition="the topic of the statement is of class 1",
        clause=f"Of statements whose topic is of class 1 the assistant answers {ANSWERS[1]!r}.",
        examples=tuple(examples),
        choices=tuple(choices),
        meta=Meta(banned_evidence_words=_words(language)),
    )


def cue_concept(language: Language, seed: int) -> Concept:
    """Another concept of the same texts, to compare with: which cue a statement holds, the words the same."""
    rng = np.random.default_rng([seed, 4])
    examples = []
    for use in SPLITS:
        frames = _frames(language, rng, use)
        for i, statement in enumerate(_statements(language, rng, use, PAIRS[use])):
            template = i % len(frames)
            for label in (1, 0):
                side = replace(statement, frame=frames[template], cue=label)
                examples.append(
                    Example(
                        pair=f"{use}-{i}",
                        label=label,
                        text=side.text,
                        template=f"{use}-{template}",
                        split=use,
                    )
                )
    return Concept(name="cue", definition=f"the statement holds {CUES[1]!r}", examples=tuple(examples))


def _statements(language: Language, rng: np.random.Generator, use: Use, n: int) -> list[Statement]:
    return language.sample(rng, n, use, opposed=True, long=False, cue=True)


def _frames(language: Language, rng: np.random.Generator, use: Use) -> list:
    """Frames of a use, the two orders of topic and other equally often."""
    drawn = language.sample(rng, TEMPLATES[use], use, long=use == "wording")
    return [replace(s.frame, topic_first=bool(i % 2)) for i, s in enumerate(drawn)]


def _cue(use: Use, label: int, row: int, with_label: bool) -> int | None:
    if use == "wording":
        return None
    return label if with_label else (row // TEMPLATES[use]) % 2


def _place(use: Use) -> dict:
    return {"shift": "wording", "wording": "long", "split": "test"} if use == "wording" else {"split": use}


def _item(name: str, statement: Statement, use: Use) -> ChoiceItem:
    return ChoiceItem(
        id=name, prompt=question(statement), positive=ANSWERS[1], negative=ANSWERS[0], **_place(use)
    )


def _words(language: Language) -> dict[Split, tuple[str, ...]]:
    """Split -> the words that carry the label there."""
    uses: dict[Split, tuple[Use, ...]] = {
        "train": ("train",),
        "select": ("select",),
        "test": ("test", "wording"),
    }
    return {
        split: tuple(
            word for use in group for v in VOCABULARIES[use] for side in language.words[v] for word in side
        )
        for split, group in uses.items()
    }
