"""Vectors from pairs of texts, and choices scored under each of them at every dose, as each library does it.

    python benchmarks/peers/steering.py LIBRARY FOLDER OUT [--repeats 3]

A vector is the difference of the means of the pairs' two sides at one layer, added at every token at a
multiple of its length. The yardstick is a plain batched pass over the scored rows, times the settings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import choice_logits, option_scores
from task import Task, measured

BUDGET = 2048


def rows(task: Task) -> list[tuple[list[int], int]]:
    return [(ids, start) for ids, start in task.given["steered"]["rows"]]


def yardstick(task: Task) -> Callable[[], None]:
    model, given = task.model(), task.given["steered"]

    def run() -> None:
        for _ in range(len(given["layers"]) * len(given["doses"])):
            option_scores(model, rows(task), BUDGET)

    return run


def ours(task: Task) -> Callable[[], np.ndarray]:
    import polars as pl

    import probes
    from probes.activations import run_context
    from probes.models import Site
    from probes.steering.packed import score_additions
    from probes.steering.prompts import prompts_of

    stage, given = task.stage(), task.given["steered"]
    context = run_context(stage)
    wanted = set(given["items"])
    items = [item for item in probes.load_concept(given["concept"]).choices if item.id in wanted]
    texts = [text for pair in given["pairs"] for text in pair]
    frame = pl.DataFrame({"text": texts, "label": [1, 0] * len(given["pairs"])})
    concept = probes.Concept.from_frame(frame, name="pairs")
    scored = [
        [[*prompt, *option], len(prompt)]
        for one in prompts_of(items, context)
        for prompt, option in one.sequences
    ]
    assert scored == given["rows"], "the choice items became other tokens than every library is given"

    def run() -> np.ndarray:
        acts = probes.extract(stage, concept, layers=given["layers"], controls=(), progress=False)
        assert isinstance(acts, probes.Activations)
        differences = (acts.values[:, 0::2] - acts.values[:, 1::2]).mean(1)
        prompts = prompts_of(items, context)
        return np.stack(
            [
                score_additions(
                    context.model,
                    prompts,
                    Site("resid_post", layer),
                    torch.tensor(np.outer(given["doses"], vector), dtype=torch.float32),
                    BUDGET,
                )[0].numpy()
                for layer, vector in zip(given["layers"], differences, strict=True)
            ]
        )

    return run


def steering_vectors(task: Task) -> Callable[[], np.ndarray]:
    from steering_vectors import (  # pyright: ignore[reportMissingImports]
        SteeringVector,
        train_steering_vector,
    )

    model, tokenizer, given = task.model(), task.tokenizer("right"), task.given["steered"]
    pairs = sorted(map(tuple, given["pairs"]), key=lambda pair: -len(pair[0]))

    def run() -> np.ndarray:
        trained = train_steering_vector(model, tokenizer, pairs, layers=given["layers"], batch_size=16)
        logits = []
        for layer in given["layers"]:
            vector = SteeringVector({layer: trained.layer_activations[layer]}, trained.layer_type)
            for dose in given["doses"]:
                with vector.apply(model, multiplier=dose):
                    logits.append(choice_logits(option_scores(model, rows(task), BUDGET)))
        return np.stack(logits).reshape(len(given["layers"]), len(given["doses"]), -1, 2)

    return run


def compare(task: Task, logits: np.ndarray) -> dict[str, Any]:
    """`[layer, dose, item, order]`, for `benchmarks/peers.py` to lay side by side."""
    return {
        "settings": len(task.given["steered"]["layers"]) * len(task.given["steered"]["doses"]),
        "items": logits.shape[2],
        "choice_logits": logits.tolist(),
    }


if __name__ == "__main__":
    measured(
        {"ours": ours, "steering_vectors": steering_vectors},
        yardstick,
        compare,
        {"ours": "spec-probes", "steering_vectors": "steering-vectors"},
    )
