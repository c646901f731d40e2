"""The exam on changes of a few blocks: in which blocks a change lives is known, because it was put there."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import polars as pl
import torch
from tqdm import tqdm

from probes.activations import run_context
from probes.errors import InputError
from probes.lineage import LoadedStage, Stage, as_loaded
from probes.locating import cross
from probes.models.architecture import find_architecture
from probes.validation.answers import KeptAnswers
from probes.validation.question import HALVES
from probes.validation.real import real_sets

ITEMS = "number_was"
"""The minimal pairs whose choices show the change."""
N_ITEMS = 3


def examine_changes(
    child: Stage | LoadedStage,
    parent: Stage | LoadedStage,
    *,
    n: int = 20,
    keep: str | Path | None = None,
    seed: int = 0,
    progress: bool = True,
) -> pl.DataFrame:
    """Put the child's weights into some blocks of the parent, and ask `probes.cross` which blocks they are.

    The first and the last of the blocks are drawn at random from those that differ. No threshold was set on
    these answers, so all of them are of the half `held out`.

    Parameters
    ----------
    child, parent : two stages of one shape.
    n : how often blocks are drawn.
    keep : a table (.parquet) to which answers are added as they come in. What it holds is not done again.
    seed : draws the blocks.
    progress : whether a progress bar is shown on stderr.

    Returns
    -------
    One row a draw, in the columns of `probes.validation.answers.ANSWERS`. Truth and answer are the first and
    the last block, as "3 to 7".

    Raises
    ------
    InputError : the two stages do not differ in any block.

    Example
    -------
    >>> from probes.validation import examine_changes
    >>> table = examine_changes(lineage["mid"], lineage["base"], n=2, progress=False)
    >>> (table["truth"] == table["answer"]).all()
    True
    """
    kept = KeptAnswers(keep)
    child, parent = as_loaded(child), as_loaded(parent)
    context = run_context(parent, progress=False)
    ours, theirs = ([b.module for b in find_architecture(one.model).blocks] for one in (child, parent))
    differing = [
        layer
        for layer, (here, there) in enumerate(zip(ours, theirs, strict=True))
        if any(not torch.equal(a, b) for a, b in zip(here.parameters(), there.parameters(), strict=True))
    ]
    if not differing:
        raise InputError(f"{child.name} and {parent.name} have the same blocks: expected some that differ")
    items = real_sets([ITEMS])[0].concept.choices[:N_ITEMS]
    done = set(kept.table.filter(exam="change", size=context.name)["seed"])
    rng = np.random.default_rng([seed, 13])
    draws = [sorted(rng.choice(differing, size=2).tolist()) for _ in range(n)]
    left = [number for number in range(n) if seed * n + number not in done]
    for number in tqdm(left, desc=f"changed blocks, {context.name}", file=sys.stderr, disable=not progress):
        first, last = draws[number]
        model = copy.deepcopy(parent.model)
        for layer, block in enumerate(find_architecture(model).blocks):
            if first <= layer <= last:
                block.module.load_state_dict(ours[layer].state_dict())
        made = LoadedStage.from_model(model, parent.tokenizer, name=f"{child.name} in some blocks")
        span = cross(made, context, items, roles=["all"], progress=False).span()
        kept.add(
            [
                {
                    "exam": "change",
                    "half": HALVES[1],
                    "kind": child.name,
                    "size": context.name,
                    "seed": seed * n + number,
                    "stage": parent.name,
                    "truth": f"{first} to {last}",
                    "answer": "nowhere" if span is None else f"{span[0]} to {span[1]}",
                }
            ]
        )
    return kept.table
