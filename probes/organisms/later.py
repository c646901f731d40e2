"""What later stages do to a planted latent: keep, invert, weaken or remove it, by training or exactly."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from probes.organisms.checking import THRESHOLDS, Expected, decodability, readings
from probes.organisms.language import ANSWERS, Language
from probes.organisms.lessons import Lesson, counting
from probes.organisms.transforms import project_out, rotate
from probes.organisms.tuning import BATCH, Size, train

Later = Literal["keep", "copy", "invert", "fade", "remove", "rotate", "project"]
Fate = Literal["persists", "rotated", "faded", "lost"]


@dataclass(frozen=True)
class Outcome:
    """What becomes of the latent's direction, and what `check` has to find."""

    fate: Fate
    expected: Expected
    how: str


LATER: dict[Later, Outcome] = {
    "keep": Outcome("persists", "internal", "trained on an unrelated language"),
    "copy": Outcome("persists", "internal", "the same weights"),
    "invert": Outcome("persists", "inverted", "the two answers exchanged where the model reads them out"),
    "fade": Outcome("faded", "faded", "six of ten twins merged: two words, one embedding"),
    "remove": Outcome("lost", "absent", "all twins merged, then trained to answer by the cue"),
    "rotate": Outcome("rotated", "internal", "the residual stream turned, the function the same"),
    "project": Outcome("lost", "lost", "the latent's directions removed from every map that writes them"),
}
FADED_SHARE = 0.6
"""Of the twins of a vocabulary. AUROC is left at .82, where the class of merged topics is gone, or up to .93,
where a probe takes it from the other word."""


def follow(later: Later, model: Any, language: Language, size: Size, seed: int) -> Any:
    """A copy of `model` after the later stage; `seed` draws its texts, words or rotation.

    Training alone does not make these models forget: taught a language in which half of the words of each
    class are of the other, they answer by the new classes and still hold the old ones. So it is done exactly:
    twins, two words that differ in class alone, get one embedding. Nor does training them to answer the other
    way leave their directions where they were, so the answers are exchanged where they are read out, which
    leaves every activation as it is.
    """
    if later == "copy":
        return copy.deepcopy(model)
    if later == "rotate":
        return rotate(model, seed)
    if later == "fade":
        return merged(model, language, FADED_SHARE, seed)
    if later == "project":
        return project_out(model, latent_directions(model, language, seed))
    if later == "invert":
        return answers_exchanged(model, language)
    rng, steps = np.random.default_rng([seed, 7]), size.steps // 4
    if later == "keep":
        made, texts, rate = copy.deepcopy(model), counting(rng, steps * BATCH), size.learning_rate / 8
    else:
        made, rate = merged(model, language, 1.0, seed), size.learning_rate
        texts = Lesson("cue", "cue").texts(language, rng, steps * BATCH)
    train(made, language.tokenizer, texts, learning_rate=rate, seed=seed, whole=later == "keep")
    return made


def answers_exchanged(model: Any, language: Language) -> Any:
    """A copy that gives one answer where it gave the other; every activation before its head is the same."""
    made = copy.deepcopy(model)
    head = made.get_output_embeddings().weight.data
    one, other = (language.tokenizer.get_vocab()[answer] for answer in ANSWERS)
    head[[one, other]] = head[[other, one]]
    return made


def merged(model: Any, language: Language, share: float, seed: int) -> Any:
    """A copy in which `share` of the twins, drawn for each vocabulary, both have their mean embedding.

    Nothing in the model can then tell which of the two was said: these words have no class.
    """
    made = copy.deepcopy(model)
    table = made.get_input_embeddings().weight.data
    ids, rng = language.tokenizer.get_vocab(), np.random.default_rng([seed, 10])
    for zero, one in language.words:
        for i in rng.permutation(len(zero))[: round(share * len(zero))]:
            twins = [ids[zero[i]], ids[one[i]]]
            table[twins] = table[twins].mean(0)
    return made


def latent_directions(model: Any, language: Language, seed: int, rounds: int = 4) -> np.ndarray:
    """`[k, d_model]`: directions without which the latent is not computed.

    First the difference of the classes' mean embeddings; then, while the latent can still be decoded of the
    model without these, the differences of class means at the last token of every layer.
    """
    table, ids = model.get_input_embeddings().weight.detach().double(), language.tokenizer.get_vocab()
    zero, one = ([ids[word] for sides in language.words for word in sides[label]] for label in (0, 1))
    directions = (table[one].mean(0) - table[zero].mean(0)).numpy()[None]
    rng = np.random.default_rng([seed, 8])
    for _ in range(rounds):
        reduced = project_out(model, directions)
        if decodability(reduced, language, seed) <= THRESHOLDS.undecodable:
            break
        statements = language.sample(rng, 1000, opposed=True)
        states = readings(reduced, language, statements)[:, 1:-1, 0]  # blocks alone, before the final norm
        labels = np.array([s.latent for s in statements])
        gaps = states[labels == 1].mean(0) - states[labels == 0].mean(0)
        directions = np.concatenate([directions, gaps])
    return directions
