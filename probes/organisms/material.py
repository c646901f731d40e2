"""The concepts that organisms are examined with.

Their pairs and choice items are those that a researcher would write who knows the language, but does not know
what the model was trained to do with it.
"""

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
"""Pairs of each use."""
TEMPLATES: dict[Use, int] = {"train": 8, "select": 4, "test": 8, "wording": 8}
"""Templates of each use."""
ITEMS: dict[Use, int] = {"train": 24, "select": 12, "test": 32, "wording": 24}
"""Choice items of each use."""
Cues = Literal["balanced", "with_label"]


def latent_concept(language: Language, seed: int, cues: Cues = "balanced") -> Concept:
    """The concept of the latent: is the topic of the statement of class 1?

    The two texts of a pair have their topic and other word exchanged and everything else in common. A
    template is a frame. The splits train, select and test and the wording shift share neither words nor
    templates. The wording shift has longer frames, without a cue. Choice items ask about statements of class
    1, whose answer is the one that the concept's clause demands.

    Parameters
    ----------
    seed : draws the statements.
    cues : which cue the statements hold. `balanced`: the same in both texts of a pair. `with_label`: that of
        the label, so that the cue alone tells the label, and is marked as evidence.

    Example
    -------
    >>> from probes.organisms.language import Language
    >>> concept = latent_concept(Language.make(0), seed=0)
    >>> for example in concept.examples[:2]:
    ...     print(example.pair, example.label, example.text)
    train-0 1 ...
    train-0 0 ...
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
        # Training items came later than the others, whose words they leave as they were.
        own = np.random.default_rng([seed, 12]) if use == "train" else rng
        for i, statement in enumerate(_statements(language, own, use, ITEMS.get(use, 0))):
            positive = statement if statement.latent else statement.exchanged()
            positive = replace(positive, frame=frames[i % len(frames)], cue=_cue(use, 1, i // 2, with_label))
            choices.append(_item(f"{use}-{i}", positive, positive.exchanged(), use))
    return Concept(
        name="latent",
        definition="the topic of the statement is of class 1",
        clause=f"Of statements whose topic is of class 1 the assistant answers {ANSWERS[1]!r}.",
        examples=tuple(examples),
        choices=tuple(choices),
        meta=Meta(banned_evidence_words=_words(language)),
    )


def cue_concept(language: Language, seed: int, asked: bool = False) -> Concept:
    """The concept of the cue: which of the two cue words does the statement hold?

    The two texts of a pair differ in the cue alone. It is the other concept that a direction of the latent
    has to be distinguished from.

    Parameters
    ----------
    seed : draws the statements.
    asked : whether it is examined itself: it then has choice items, and a wording shift to longer frames.

    Example
    -------
    >>> from probes.organisms.language import Language
    >>> one, zero = cue_concept(Language.make(0), seed=0).examples[:2]
    >>> [words for words in zip(one.text.split(), zero.text.split()) if words[0] != words[1]]
    [('fes', 'dal')]
    """
    rng = np.random.default_rng([seed, 4])
    examples, choices = [], []
    uses: tuple[Use, ...] = (*SPLITS, "wording") if asked else SPLITS
    for use in uses:
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
                        **_place(use),
                    )
                )
        for i, statement in enumerate(_statements(language, rng, use, ITEMS[use] if asked else 0)):
            positive = replace(statement, frame=frames[i % len(frames)], cue=1)
            choices.append(_item(f"{use}-{i}", positive, positive.cued(0), use))
    return Concept(
        name="cue",
        definition=f"the statement holds {CUES[1]!r}",
        clause=f"Of statements that hold {CUES[1]!r} the assistant answers {ANSWERS[1]!r}.",
        examples=tuple(examples),
        choices=tuple(choices),
    )


def _statements(language: Language, rng: np.random.Generator, use: Use, n: int) -> list[Statement]:
    return language.sample(rng, n, use, opposed=True, long=False, cue=True)


def _frames(language: Language, rng: np.random.Generator, use: Use) -> list:
    """The frames of a use. In every other one the topic comes first."""
    drawn = language.sample(rng, TEMPLATES[use], use, long=use == "wording")
    return [replace(s.frame, topic_first=bool(i % 2)) for i, s in enumerate(drawn)]


def _cue(use: Use, label: int, row: int, with_label: bool) -> int | None:
    """The cue: none under the wording shift, else the class of the label, or one that the row decides."""
    if use == "wording":
        return None
    return label if with_label else (row // TEMPLATES[use]) % 2


def _place(use: Use) -> dict:
    """The fields of an example or a choice item that say what it is for."""
    return {"shift": "wording", "wording": "long", "split": "test"} if use == "wording" else {"split": use}


def _item(name: str, statement: Statement, turned: Statement, use: Use) -> ChoiceItem:
    return ChoiceItem(
        id=name,
        prompt=question(statement),
        reversed=question(turned),
        positive=ANSWERS[1],
        negative=ANSWERS[0],
        **_place(use),
    )


def _words(language: Language) -> dict[Split, tuple[str, ...]]:
    """The words that carry the label, by split."""
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
