"""`carried`: what a stage difference carries of a change of choices, at the stages it is of and at others."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
import polars as pl
import torch
from tqdm import tqdm

from probes.activations import AnyStage, RunOptions
from probes.concepts import ChoiceItem, Concept
from probes.errors import InputError
from probes.locating.asking import Questions, Tally, Tokens, canonical_items
from probes.locating.differencing import StageDifference
from probes.locating.scores import derived
from probes.locating.stage_pairs import StagePair, pair_columns, stage_pairs
from probes.models import Site
from probes.stats.estimates import Estimate
from probes.stats.jackknife import mean_contrast, ratio_of_means
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy

CARRIERS = ("mean", "along")
"""What is put in the place of the other stage's states: "mean" adds the mean difference to every token;
"along" takes each token's own component along it from the other stage."""


@dataclass(frozen=True, repr=False)
class Carried(Result):
    """What a stage difference carries of the change between two stages.

    Example
    -------
    >>> made = probes.difference(lineage["mid"], lineage["base"], concept.choices, progress=False)
    >>> found = probes.carried(made, lineage["mid"], lineage["base"], concept.choices, progress=False)
    >>> found.share(1, "mean").n
    10
    """

    layers: list[int]
    role: Tokens
    ids: list[str]
    whole: Mapping[str, np.ndarray]
    """Score -> `[layer, way, item]`: how far the other stage's states move the choices, put into the parent
    (0), and how far the parent's move those of the child (1). Both are towards the child."""
    moved: Mapping[str, np.ndarray]
    """Score -> `[layer, carrier, way, item]`: the same for the carriers of `CARRIERS`."""
    columns: dict[str, Any] = field(default_factory=dict)
    """The columns of `.table` that are the same in every row."""

    def __repr__(self) -> str:
        names = f"{self.columns.get('stage')} and {self.columns.get('source_stage')}"
        return f"Carried({names}, {len(self.layers)} layers, tokens: {self.role}, {len(self.ids)} items)"

    def share(self, layer: int, carrier: str = "mean", way: int = 0, score: str = "asked") -> Estimate:
        """The share of what whole states do at a layer that the difference does there.

        Parameters
        ----------
        carrier : one of `CARRIERS`.
        way : 0 puts it into the parent, 1 takes it out of the child.

        Raises
        ------
        InputError : there is no such layer, carrier or score, or whole states do nothing there.

        Example
        -------
        >>> made = probes.difference(lineage["mid"], lineage["base"], concept.choices, progress=False)
        >>> found = probes.carried(made, lineage["mid"], lineage["base"], concept.choices, progress=False)
        >>> found.share(2, "along").low <= found.share(2, "along").value
        True
        """
        if layer not in self.layers or carrier not in CARRIERS or score not in self.whole:
            raise InputError(
                f"layer {layer}, {carrier!r}, {score!r}: expected one of {self.layers}, of {CARRIERS} and of "
                f"{', '.join(self.whole)}"
            )
        i, c = self.layers.index(layer), CARRIERS.index(carrier)
        return ratio_of_means(self.moved[score][i, c, way], self.whole[score][i, way], self.ids)

    @property
    def table(self) -> pl.DataFrame:
        """Rows in the columns of `probes.tables.schema.SCHEMA`, by layer and score.

        `difference_put_in` and `difference_taken_out` are in logits, with what is exchanged as estimator:
        `whole` states, or one of `CARRIERS`. `difference_put_in_share` and `difference_taken_out_share` are
        the carriers' shares of what whole states do, where that is not 0.
        """
        rows: list[dict[str, Any]] = []
        for score, whole in self.whole.items():
            for i, layer in enumerate(self.layers):
                where = {"site": "resid_pre", "layer": layer, "position": self.role, "variant": score}
                for way, measure in enumerate(("difference_put_in", "difference_taken_out")):
                    of_whole = mean_contrast([whole[i, way]], [1], self.ids)
                    name = {"measure": measure, "estimator": "whole"}
                    rows.append(where | name | interval_columns(of_whole))
                    for c, carrier in enumerate(CARRIERS):
                        moved = mean_contrast([self.moved[score][i, c, way]], [1], self.ids)
                        name = {"measure": measure, "estimator": carrier}
                        rows.append(where | name | interval_columns(moved))
                        if of_whole.low > 0 or of_whole.high < 0:
                            share = self.share(layer, carrier, way, score)
                            name["measure"] = f"{measure}_share"
                            rows.append(where | name | interval_columns(share))
        return tidy(self.columns | {"n_seeds": 1} | row for row in rows)


def carried(
    made: StageDifference,
    child: AnyStage,
    parent: AnyStage,
    items: Concept | Sequence[ChoiceItem],
    *,
    turned: bool = False,
    **run: Unpack[RunOptions],
) -> Carried:
    """What a stage difference carries of the change between two stages, which need not be those it is of.

    At every layer of the difference, the states of its tokens are exchanged between the two stages whole, by
    the mean difference, and by their components along it. Give other items than those that the difference was
    taken on, so that it is tried on words it has not seen; give later stages, to follow it through training.

    Parameters
    ----------
    made : what `probes.difference` gave.
    child, parent, items, turned, run : as in `probes.cross`.

    Returns
    -------
    Carried

    Raises
    ------
    InputError : the difference is of another width than the states, or no item has tokens of its role.
    Other errors are those of `probes.cross`.

    Example
    -------
    >>> made = probes.difference(lineage["mid"], lineage["base"], concept.choices[:5], progress=False)
    >>> later = probes.carried(made, lineage["copy"], lineage["base"], concept.choices[5:], progress=False)
    >>> later.table["estimator"].unique().sort().to_list()
    ['along', 'mean', 'whole']
    """
    [pair] = stage_pairs(child, parent, run)
    width = pair.parent.model.d_model
    if made.vectors.shape[1] != width:
        raise InputError(
            f"a difference of width {made.vectors.shape[1]}: expected that of the states, {width}"
        )
    questions = Questions(pair.parent, canonical_items(items), turned)
    pair.check(questions.packs)
    if made.role not in ("all", *questions.roles):
        raise InputError(f"no item has tokens of the role {made.role!r}, at which the difference was taken")
    whole, moved = _carried(pair, questions, made)
    columns = pair_columns(pair) | {
        "concept": items.name if isinstance(items, Concept) else None,
        "digest": pair.digest(made.columns.get("digest"), questions.ids),
    }
    forms = questions.forms
    return Carried(
        made.layers, made.role, questions.ids, derived(forms, whole), derived(forms, moved), columns
    )


def _carried(pair: StagePair, questions: Questions, made: StageDifference) -> tuple[np.ndarray, np.ndarray]:
    """`[form, layer, way, item]` and `[form, layer, carrier, way, item]`."""
    contexts = (pair.parent, pair.child)
    sites = [Site("resid_post", layer - 1) for layer in made.layers]
    tally = Tally(questions)
    bar = tqdm(
        total=len(questions.packs) * len(sites),
        desc=f"difference in {pair.child.name} and {pair.parent.name}",
        unit="layer",
        file=sys.stderr,
        disable=not pair.child.progress,
    )

    with bar, torch.no_grad():
        for pack in questions.packs:
            states = [pack.read(context.model, sites) for context in contexts]
            mask = questions.mask(pack, made.role)[..., None]
            for way, context in enumerate(contexts):
                tally.add(way, pack, pack.logits(context.model))
            for i, site in enumerate(sites):
                vector = torch.tensor(made.vectors[i], dtype=torch.float32)
                unit = vector / vector.norm() if vector.norm() else vector
                for way, context in enumerate(contexts):
                    own, other = states[way][site], states[1 - way][site]
                    along = ((other - own) @ unit)[..., None] * unit
                    edits = (other, own + (vector if way == 0 else -vector), own + along)
                    for c, edit in enumerate(edits):
                        new = torch.where(mask, edit, own)
                        tally.add((i, c, way), pack, pack.logits_from(context.model, site.layer or 0, new))
                bar.update()
    plain = [tally.choices(way) for way in (0, 1)]
    shape = (len(sites), 1 + len(CARRIERS), 2)
    shifts = np.stack(
        [
            (tally.choices((i, c, way)) - plain[way]) * (1 if way == 0 else -1)
            for i, c, way in np.ndindex(*shape)
        ],
        1,
    ).reshape(len(questions.forms), *shape, -1)
    return shifts[:, :, 0], shifts[:, :, 1:]
