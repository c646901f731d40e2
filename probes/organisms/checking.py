"""`check`: whether what was meant to be planted is there, by exact interventions on the language itself.

None of the toolkit's own tests takes part: statements are made anew in vocabularies that no concept holds,
their latent or their cue is turned over while every other word stays, and what the model answers is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

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

Expected = Literal["untaught", "absent", "surface", "represented", "internal", "inverted", "faded", "lost"]
N_CHOICES = 200
N_READ = 2000


@dataclass(frozen=True)
class Thresholds:
    """What an organism must show to be admitted, fixed once."""

    follows: float = 0.95
    """Share of answers that agree with what they follow, at least."""
    moves: float = 0.90
    """`Facts.latent_effect` or `Facts.cue_effect` of what answers follow, at least."""
    rests: float = 0.15
    """The same of what they do not follow, at most, either way."""
    decodable: float = 0.95
    """AUROC of the strong probe on words it has not seen, where the latent is computed, at least."""
    undecodable: float = 0.65
    """The same where the latent is not there, at most."""
    faded: tuple[float, float] = (0.70, 0.95)
    """The same where part of the words lost their class: between these."""


THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Facts:
    """What a model does with the language.

    `follows_latent`, `follows_cue`: share of answers that agree with the latent, or the cue, of statements in
    fresh vocabularies. `latent_effect`: mean change of the choice logit when topic and other change places,
    all else the same, over twice the mean absolute choice logit, or over 1 nat where that is more (1: the
    latent alone decides, 0: it does not matter, -1: against it); `cue_effect`: the same when the cue changes.
    `decodability`: AUROC of the latent on words that the probe has not seen (see `decodability`).
    """

    follows_latent: float
    follows_cue: float
    latent_effect: float
    cue_effect: float
    decodability: float

    def to_dict(self) -> dict[str, float]:
        """Plain values, by name."""
        return asdict(self)


def facts(model: Any, language: Language, seed: int) -> Facts:
    """Measure a model on statements drawn by `seed`, for what it answers all in fresh vocabularies."""
    rng = np.random.default_rng([seed, 5])
    drawn = language.sample(rng, N_CHOICES, "fresh", opposed=True, cue=True)
    one = [s if s.latent else s.exchanged() for s in drawn]  # of latent 1, cues as drawn
    zero = [s.exchanged() for s in one]
    logits = choice_logits(model, language, [*one, *zero])
    flipped = choice_logits(model, language, [s.cued(1 - (s.cue or 0)) for s in one])
    latents = np.array([1] * len(one) + [0] * len(zero))
    cues = np.array([s.cue for s in [*one, *zero]])
    at_one, at_zero = logits[: len(one)], logits[len(one) :]
    signs = np.where(cues[: len(one)] == 1, 1.0, -1.0)
    size = max(2 * float(np.abs(logits).mean()), 1.0)
    return Facts(
        follows_latent=float(((logits > 0) == latents).mean()),
        follows_cue=float(((logits > 0) == cues).mean()),
        latent_effect=float((at_one - at_zero).mean() / size),
        cue_effect=float((signs * (at_one - flipped)).mean() / size),
        decodability=decodability(model, language, seed),
    )


EXPECTED: dict[Expected, tuple[int | None, int | None, str]] = {
    "untaught": (0, 0, "undecodable"),
    "absent": (0, 1, "undecodable"),
    "surface": (0, 1, "undecodable"),
    "represented": (0, 1, "decodable"),
    "internal": (1, 0, "decodable"),
    "inverted": (-1, 0, "decodable"),
    "faded": (None, 0, "faded"),
    "lost": (0, None, "undecodable"),
}
"""What a stage was made to be: whether answers follow the latent and the cue (1), go against them (-1) or
neither (0, None: untold), and whether the latent can be decoded."""


def shortfalls(found: Facts, expected: Expected, thresholds: Thresholds = THRESHOLDS) -> list[str]:
    """What keeps a model from being what was `expected`, a line each; empty when nothing does."""
    latent, cue, read = EXPECTED[expected]
    told = []
    for name, sign in (("latent", latent), ("cue", cue)):
        agree, effect = getattr(found, f"follows_{name}"), getattr(found, f"{name}_effect")
        if sign:
            agree, effect = (agree, effect) if sign > 0 else (1 - agree, -effect)
            short = agree < thresholds.follows or effect < thresholds.moves
            wanted = f"at least {thresholds.follows:g} and {thresholds.moves:g}"
        else:
            short = abs(effect) > thresholds.rests
            wanted = f"an effect within {thresholds.rests:g} of 0"
        if short and sign is not None:
            told.append(f"answers follow the {name} in {agree:.2f}, effect {effect:.2f}: expected {wanted}")
    low, high = {
        "decodable": (thresholds.decodable, 1.0),
        "undecodable": (0.0, thresholds.undecodable),
        "faded": thresholds.faded,
    }[read]
    if not low <= found.decodability <= high:
        told.append(f"decodability {found.decodability:.2f}: expected {low:g} to {high:g}")
    return told


def choice_logits(model: Any, language: Language, statements: Sequence[Statement]) -> NDArray[np.float64]:
    """`[statement]`: logit of the answer of class 1 minus that of class 0, the mean of both orders."""
    ids = language.tokenizer.get_vocab()
    positive, negative = ids[ANSWERS[1]], ids[ANSWERS[0]]
    by_order = []
    for first, second in (ANSWERS, ANSWERS[::-1]):
        chats = [
            [{"role": "user", "content": question(s).format(first=first, second=second)}] for s in statements
        ]
        texts = language.tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
        values = []
        for tokens, rows in _batches(language, [str(text) for text in texts]):
            logits = model(input_ids=tokens).logits[:, -1]
            values.append((rows, (logits[:, positive] - logits[:, negative]).double().numpy()))
        by_order.append(_gathered(values, len(statements)))
    return np.mean(by_order, axis=0)


def readings(model: Any, language: Language, statements: Sequence[Statement]) -> NDArray[np.float64]:
    """`[statement, layer, place, d_model]`: the residual stream before and between the blocks and after the
    final norm, at the last token and averaged over all tokens."""
    values = []
    for ids, rows in _batches(language, [s.text for s in statements]):
        states = torch.stack(model(input_ids=ids, output_hidden_states=True).hidden_states, 1)
        values.append((rows, torch.stack([states[:, :, -1], states.mean(2)], 2).double().numpy()))
    return _gathered(values, len(statements))


def decodability(model: Any, language: Language, seed: int) -> float:
    """AUROC of the latent, read off everything at once, on vocabularies that the probe has not seen.

    A ridge classifier of all `readings` together, fitted on `N_READ` fresh statements, a third of the
    vocabularies held out at a time: no linear probe of one layer that has to generalise can do much better.
    """
    rng = np.random.default_rng([seed, 6])
    statements = language.sample(rng, N_READ, opposed=True)
    values = readings(model, language, statements).reshape(N_READ, -1)
    labels = np.array([s.latent for s in statements])
    homes = {word: v for v, sides in enumerate(language.words) for side in sides for word in side}
    groups = np.array([homes[s.topic] for s in statements])
    found = []
    for fit, held_out in GroupKFold(3).split(values, labels, groups):
        probe = make_pipeline(StandardScaler(), RidgeClassifier(alpha=100.0)).fit(values[fit], labels[fit])
        found.append(float(auroc(probe.decision_function(values[held_out]), labels[held_out])))
    return float(np.mean(found))


def _batches(language: Language, texts: Sequence[str]) -> Any:
    """Token ids `[row, token]` without padding, and which texts they are."""
    ids = language.tokenizer(list(texts), return_attention_mask=False)["input_ids"]
    lengths = np.array([len(row) for row in ids])  # pyright: ignore[reportArgumentType]
    with torch.inference_mode():
        for length in np.unique(lengths):
            same = np.flatnonzero(lengths == length)
            for rows in np.array_split(same, max(1, -(-len(same) // 256))):
                yield torch.tensor([ids[i] for i in rows]), rows


def _gathered(values: list[tuple[NDArray, NDArray]], n: int) -> NDArray[np.float64]:
    made = np.empty((n, *values[0][1].shape[1:]))
    for rows, part in values:
        made[rows] = part
    return made
