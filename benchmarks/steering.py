"""A steering sweep against setting a hook and running the model again for every setting.

    python benchmarks/steering.py [--items 12] [--repeats 3] [--out benchmarks/results/steering.json]

A setting is a layer, a direction and a dose; in each, every choice item is scored in both orders. The
reference is what one writes by hand: a forward hook that adds the vector, and one batched forward over all
prompts with their options, longest first, for each setting. It is timed on a sample of the settings, named in
the result, and scaled to all of them. Both sides score the same token ids; the largest difference in a choice
logit is reported beside the times.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import choice_logits, in_turns, machine, option_scores, ratio, save
from torch import Tensor

import probes
from probes.activations import run_context
from probes.models import Site
from probes.steering.controls import random_directions
from probes.steering.packed import score_additions
from probes.steering.prompts import prompts_of

LAYERS = (6, 12, 18, 24)
ALPHAS = (-4.0, -2.0, 2.0, 4.0)
N_DIRECTIONS = 4
LENGTH = 4.0
"""Length of what is added at a dose of 1, about a tenth of SmolLM2's residual stream there."""


def by_hand(
    model: Any, rows: list[tuple[list[int], int]], layer: int, addition: Tensor, budget: int
) -> list[float]:
    """`option_scores` with `addition` added after a block at every token."""

    def add(_module: Any, _args: Any, output: Any) -> Any:
        return (output[0] + addition, *output[1:]) if isinstance(output, tuple) else output + addition

    handle = model.model.layers[layer].register_forward_hook(add)
    try:
        return option_scores(model, rows, budget)
    finally:
        handle.remove()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=12)
    parser.add_argument("--sample", type=int, default=4, help="settings the reference is timed on")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lineage", default="checkpoints/msm-mini")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/steering.json"))
    args = parser.parse_args()

    context = run_context(probes.load_lineage(args.lineage).root.load())
    model = context.model.model
    concept = probes.load_concept("affordability")
    items = [item for item in concept.choices if item.shift is None and "{first}" in (item.prompt or "")]
    prompts = prompts_of(items[: args.items], context)
    rows = [([*prompt, *option], len(prompt)) for p in prompts for prompt, option in p.sequences]
    directions = random_directions(N_DIRECTIONS, context.model.d_model, 0)
    additions = torch.tensor(
        np.concatenate([LENGTH * a * directions for a in ALPHAS]), dtype=torch.float32
    )  # [addition, width]
    settings = [(layer, k) for layer in LAYERS for k in range(len(additions))]
    sample = [settings[i * len(settings) // args.sample] for i in range(args.sample)]

    swept: dict[int, Tensor] = {}
    handmade: dict[tuple[int, int], list[float]] = {}

    def ours() -> None:
        for layer in LAYERS:
            swept[layer] = score_additions(context.model, prompts, Site("resid_post", layer), additions, 2048)

    def theirs() -> None:
        for layer, k in sample:
            handmade[layer, k] = by_hand(model, rows, layer, additions[k], 2048)

    seconds = in_turns({"sweep": ours, "by hand": theirs}, args.repeats)
    scale = len(settings) / len(sample)
    seconds["by hand"] = [scale * s for s in seconds["by hand"]]
    worst = 0.0
    for (layer, k), scores in handmade.items():
        worst = max(worst, float(np.abs(swept[layer][0, k].numpy() - choice_logits(scores)).max()))
    timing = ratio(seconds, "by hand", "sweep")
    save(
        {
            "what": "choice items under every layer, direction and dose: by hand over the sweep",
            **timing,
            "settings": len(settings),
            "settings_timed_by_hand": sample,
            "items": len(prompts),
            "largest_difference_in_a_choice_logit": worst,
            "seconds": seconds,
            **machine(("torch", "transformers")),
        },
        args.out,
    )
    print(f"by hand / sweep = {timing['ratio']:.2f} ({len(settings)} settings, {len(prompts)} items)")


if __name__ == "__main__":
    main()
