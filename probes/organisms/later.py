"""Stages after the one that was planted: they keep, invert, weaken, remove or turn the latent.

What becomes of the latent's direction at each is known, because it is done by exact changes of the weights or
by training on texts that have nothing to do with it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probes.organisms.checking import THRESHOLDS, Expected, decodability, residual_states
from probes.organisms.language import ANSWERS, Language
from probes.organisms.lessons import Lesson, counting
from probes.organisms.transforms import project_out, rotate
from probes.organisms.tuning import BATCH, Size, train

Later = Literal["keep", "copy", "invert", "fade", "remove", "rotate", "project"]
PlantedSurvival = Literal["persists", "rotated", "faded", "lost"]
"""What can become of a direction: the labels of `probes.verdicts.DirectionSurvival` without
`inconclusive`."""


@dataclass(frozen=True)
class LaterStage:
    """What a later stage does to the latent."""

    survival: PlantedSurvival
    """What becomes of the latent's direction."""
    expected: Expected
    """What `probes.organisms.check` has to find."""
    how: str
    """How the stage is made, in words."""


LATER: dict[Later, LaterStage] = {
    "keep": LaterStage("persists", "internal", "trained on an unrelated language"),
    "copy": LaterStage("persists", "internal", "the same weights"),
    "invert": LaterStage("persists", "inverted", "the two answers exchanged where the model writes them"),
    "fade": LaterStage("faded", "faded", "six of ten twins merged: the two words get one embedding"),
    "remove": LaterStage("lost", "absent", "all twins merged, then trained to answer by the cue"),
    "rotate": LaterStage("rotated", "internal", "the residual stream rotated, the function the same"),
    "project": LaterStage("lost", "lost", "the latent's directions removed from every map that writes them"),
}
"""The later stages that `probes.organisms.plant` can make, by name."""
FADED_SHARE = 0.6
"""Share of the twins of a vocabulary that `fade` merges. The AUROC then is .82 where the class of merged
topics is gone, or up to .93 where a probe takes it from the other word."""


def model_after(later: Later, model: Any, language: Language, size: Size, seed: int) -> Any:
    """A copy of `model` after a later stage.

    Training alone does not make models of this size forget. When they are taught a language in which half of
    the words of each class belong to the other class, they answer by the new classes and still hold the old
    ones. So forgetting is done exactly: two words that differ in their class alone get one embedding.
    Training a model to answer the other way does not leave its directions where they were either. So the
    answers are exchanged where the model writes them, which leaves every activation as it is.

    Parameters
    ----------
    seed : draws the texts, the words that are merged, or the rotation.
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
        trained, texts, rate = copy.deepcopy(model), counting(rng, steps * BATCH), size.learning_rate / 8
    else:
        trained, rate = merged(model, language, 1.0, seed), size.learning_rate
        texts = Lesson("cue", "cue").texts(language, rng, steps * BATCH)
    train(trained, language.tokenizer, texts, learning_rate=rate, seed=seed, whole=later == "keep")
    return trained


def answers_exchanged(model: Any, language: Language) -> Any:
    """A copy that gives each answer where it gave the other; its activations before the head are the same."""
    inverted = copy.deepcopy(model)
    head = inverted.get_output_embeddings().weight.data
    zero, one = (language.tokenizer.get_vocab()[answer] for answer in ANSWERS)
    head[[zero, one]] = head[[one, zero]]
    return inverted


def merged(model: Any, language: Language, share: float, seed: int) -> Any:
    """A copy in which twins have one embedding, their mean, so that nothing in the model can tell which of
    the two words stood in the text. `share` of the twins of each vocabulary, drawn by `seed`, are merged."""
    without = copy.deepcopy(model)
    table = without.get_input_embeddings().weight.data
    ids, rng = language.tokenizer.get_vocab(), np.random.default_rng([seed, 10])
    for zero, one in language.words:
        for i in rng.permutation(len(zero))[: round(share * len(zero))]:
            twins = [ids[zero[i]], ids[one[i]]]
            table[twins] = table[twins].mean(0)
    return without


def latent_directions(model: Any, language: Language, seed: int, rounds: int = 4) -> NDArray[np.float64]:
    """`[k, d_model]`: directions without which the model does not compute the latent.

    The first is the difference between the mean embeddings of the two classes of words. Then, as long as the
    latent can still be decoded from the model without these directions, the differences between the class
    means at the last token are added, one for each layer.
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
        # Blocks alone: neither the embeddings nor what follows the final norm.
        states = residual_states(reduced, language, statements)[:, 1:-1, 0]
        labels = np.array([s.latent for s in statements])
        gaps = states[labels == 1].mean(0) - states[labels == 0].mean(0)
        directions = np.concatenate([directions, gaps])
    return directions
