"""Whether a model is what it was planted to be, found out by exact interventions on the language itself.

None of the toolkit's own tests takes part in this. Statements are made anew, from vocabularies that no
concept uses. Then their latent or their cue is changed while every other word stays, and the model's answers
are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes.organisms.language import ANSWERS, Language, Statement
from probes.organisms.lessons import question
from probes.stats.estimates import auroc

Expected = Literal[
    "untaught", "absent", "surface", "represented", "string", "internal", "inverted", "faded", "lost"
]
N_CHOICES = 200
"""Statements whose choices are counted."""
N_DECODED = 2000
"""Statements that the strong probe is fitted and tested on."""


@dataclass(frozen=True)
class Thresholds:
    """What a model must show to be admitted as an organism. These numbers were fixed once."""

    follows: float = 0.95
    """The smallest share of answers that agree with what the answers are meant to follow."""
    moves: float = 0.90
    """The smallest `Facts.latent_effect` or `Facts.cue_effect` of what the answers are meant to follow."""
    rests: float = 0.15
    """The largest absolute value of the same effect of what the answers are not meant to follow."""
    decodable: float = 0.95
    """The smallest AUROC of the strong probe on unseen words where the latent is meant to be computed."""
    undecodable: float = 0.65
    """The largest AUROC of the strong probe where the model is meant not to have the latent."""
    faded: tuple[float, float] = (0.70, 0.95)
    """The range of that AUROC where a part of the words lost their class."""


THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Facts:
    """What a model does with the language, measured on statements in vocabularies that no concept uses.

    Example
    -------
    >>> facts = Facts(
    ...     follows_latent=0.9, follows_cue=0.5, latent_effect=1.0, cue_effect=0.0, decodability=1.0
    ... )
    >>> shortfalls(facts, "internal")
    ['0.90 of the answers follow the latent, with an effect of 1.00: expected at least 0.95 and 0.9']
    """

    follows_latent: float
    """Share of answers that agree with the latent."""
    follows_cue: float
    """Share of answers that agree with the cue."""
    latent_effect: float
    """Mean change of the choice logit when topic and other word change places and all else stays, divided by
    twice the mean absolute choice logit (or by 1 nat where that is more). It is 1 where the latent alone
    decides, 0 where it does not matter, and -1 where the answers go against it."""
    cue_effect: float
    """The same number when the class of the cue changes."""
    decodability: float
    """AUROC of the latent on words that the probe has not seen, see `decodability`."""
    bias: float = 0.0
    """Mean choice logit divided by the mean absolute choice logit (or by 0.5 nats where that is more): 1
    where the answer of class 1 is given whatever was said."""

    def to_dict(self) -> dict[str, float]:
        """Plain values, by name."""
        return asdict(self)


def measure_facts(model: Any, language: Language, seed: int) -> Facts:
    """Measure what a model does with statements that are drawn by `seed`."""
    rng = np.random.default_rng([seed, 5])
    drawn = language.sample(rng, N_CHOICES, "fresh", opposed=True, cue=True)
    positives = [s if s.latent else s.exchanged() for s in drawn]  # of latent 1, cues as drawn
    negatives = [s.exchanged() for s in positives]
    logits = choice_logits(model, language, [*positives, *negatives])
    with_other_cue = choice_logits(model, language, [s.cued(1 - (s.cue or 0)) for s in positives])
    n = len(positives)
    latents = np.array([1] * n + [0] * n)
    cues = np.array([s.cue for s in [*positives, *negatives]])
    cue_signs = np.where(cues[:n] == 1, 1.0, -1.0)
    size = max(2 * float(np.abs(logits).mean()), 1.0)
    return Facts(
        follows_latent=float(((logits > 0) == latents).mean()),
        follows_cue=float(((logits > 0) == cues).mean()),
        latent_effect=float((logits[:n] - logits[n:]).mean() / size),
        cue_effect=float((cue_signs * (logits[:n] - with_other_cue)).mean() / size),
        decodability=decodability(model, language, seed),
        bias=float(2 * logits.mean() / size),
    )


class Expectation(NamedTuple):
    """What a model was made to do.

    `latent` and `cue` say whether its answers follow each: 1, or against it: -1, or not at all: 0. None says
    that either is admitted. `decodability` names the threshold of `Facts.decodability`.
    """

    latent: int | None
    cue: int | None
    decodability: Literal["decodable", "undecodable", "faded"]
    biased: bool = False
    """Whether the answer of class 1 is given whatever was said."""


EXPECTED: dict[Expected, Expectation] = {
    "untaught": Expectation(0, 0, "undecodable"),
    "absent": Expectation(0, 1, "undecodable"),
    "surface": Expectation(0, 1, "undecodable"),
    "represented": Expectation(0, 1, "decodable"),
    "string": Expectation(0, 0, "decodable", biased=True),
    "internal": Expectation(1, 0, "decodable"),
    "inverted": Expectation(-1, 0, "decodable"),
    "faded": Expectation(None, 0, "faded"),
    "lost": Expectation(0, None, "undecodable"),
}


def shortfalls(facts: Facts, expected: Expected, thresholds: Thresholds = THRESHOLDS) -> list[str]:
    """What keeps a model from being what was expected, a line each; the list is empty when nothing does."""
    expectation = EXPECTED[expected]
    lines = []
    for name, sign in (("latent", expectation.latent), ("cue", expectation.cue)):
        if sign is None:
            continue
        agreement, effect = getattr(facts, f"follows_{name}"), getattr(facts, f"{name}_effect")
        if sign:
            agreement, effect = (agreement, effect) if sign > 0 else (1 - agreement, -effect)
            short = agreement < thresholds.follows or effect < thresholds.moves
            wanted = f"at least {thresholds.follows:g} and {thresholds.moves:g}"
        else:
            short = abs(effect) > thresholds.rests
            wanted = f"an effect within {thresholds.rests:g} of 0"
        if short:
            shares = f"{agreement:.2f} of the answers follow the {name}, with an effect of {effect:.2f}"
            lines.append(f"{shares}: expected {wanted}")
    if expectation.biased and facts.bias < thresholds.moves:
        lines.append(f"bias {facts.bias:.2f} to one answer: expected at least {thresholds.moves:g}")
    low, high = {
        "decodable": (thresholds.decodable, 1.0),
        "undecodable": (0.0, thresholds.undecodable),
        "faded": thresholds.faded,
    }[expectation.decodability]
    if not low <= facts.decodability <= high:
        lines.append(f"decodability {facts.decodability:.2f}: expected {low:g} to {high:g}")
    return lines


def choice_logits(model: Any, language: Language, statements: Sequence[Statement]) -> NDArray[np.float64]:
    """`[statement]`: logit of the answer of class 1 minus that of class 0, averaged over both orders of the
    two options in the question."""
    ids = language.tokenizer.get_vocab()
    positive, negative = ids[ANSWERS[1]], ids[ANSWERS[0]]
    by_order = []
    for first, second in (ANSWERS, ANSWERS[::-1]):
        chats = [
            [{"role": "user", "content": question(s).format(first=first, second=second)}] for s in statements
        ]
        texts = language.tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
        parts = []
        for tokens, rows in _batches(language, [str(text) for text in texts]):
            logits = model(input_ids=tokens).logits[:, -1]
            parts.append((rows, (logits[:, positive] - logits[:, negative]).double().numpy()))
        by_order.append(_in_order(parts, len(statements)))
    return np.mean(by_order, axis=0)


def residual_states(model: Any, language: Language, statements: Sequence[Statement]) -> NDArray[np.float64]:
    """`[statement, layer, place, d_model]`: the residual stream.

    `layer` counts the input of the first block, the output of every block but the last, and the output of the
    final norm; `place` is 0 for the last token and 1 for the mean over all tokens.
    """
    parts = []
    for ids, rows in _batches(language, [s.text for s in statements]):
        states = torch.stack(model(input_ids=ids, output_hidden_states=True).hidden_states, 1)
        parts.append((rows, torch.stack([states[:, :, -1], states.mean(2)], 2).double().numpy()))
    return _in_order(parts, len(statements))


def decodability(model: Any, language: Language, seed: int) -> float:
    """AUROC of the latent under a strong probe, on vocabularies that the probe has not seen.

    The probe is a ridge classifier of all `residual_states` together, fitted on `N_DECODED` statements, with
    a third of the vocabularies held out at a time. A linear probe of one layer that has to generalise can do
    hardly better.
    """
    rng = np.random.default_rng([seed, 6])
    statements = language.sample(rng, N_DECODED, opposed=True)
    states = residual_states(model, language, statements).reshape(N_DECODED, -1)
    labels = np.array([s.latent for s in statements])
    vocabulary_of = {word: v for v, sides in enumerate(language.words) for side in sides for word in side}
    vocabularies = np.array([vocabulary_of[s.topic] for s in statements])
    aurocs = []
    for fit, held_out in GroupKFold(3).split(states, labels, vocabularies):
        probe = make_pipeline(StandardScaler(), RidgeClassifier(alpha=100.0)).fit(states[fit], labels[fit])
        aurocs.append(float(auroc(probe.decision_function(states[held_out]), labels[held_out])))
    return float(np.mean(aurocs))


def _batches(language: Language, texts: Sequence[str]) -> Iterator[tuple[torch.Tensor, NDArray[np.int64]]]:
    """Token ids `[row, token]` of texts of one length each, so that none is padded, and which texts they are
    `[row]`. What is done with them runs without gradients."""
    ids = language.tokenizer(list(texts), return_attention_mask=False)["input_ids"]
    lengths = np.array([len(row) for row in ids])  # pyright: ignore[reportArgumentType]
    with torch.inference_mode():
        for length in np.unique(lengths):
            same = np.flatnonzero(lengths == length)
            for rows in np.array_split(same, max(1, -(-len(same) // 256))):
                yield torch.tensor([ids[i] for i in rows]), rows


def _in_order(parts: list[tuple[NDArray, NDArray]], n: int) -> NDArray[np.float64]:
    """The values `[row, ...]` of every batch, put where its rows belong: `[n, ...]`."""
    values = np.empty((n, *parts[0][1].shape[1:]))
    for rows, part in parts:
        values[rows] = part
    return values
