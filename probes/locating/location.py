"""`Location`: at which layer and tokens a choice uses a concept, and in which subspace there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from probes.errors import InputError
from probes.locating.aligning import Role
from probes.locating.shifting import ChoiceShifts
from probes.probing import Subspace
from probes.stats.estimates import Estimate, mean_interval, share_interval
from probes.stats.jackknife import ratio_of_means
from probes.steering.controls import p_among_random
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy

SHUFFLED = "das_shuffled"
"""The variant that is learned on random targets."""
OTHER = "other: "
"""What the names of exchanges along other concepts' directions begin with."""


@dataclass(frozen=True, repr=False)
class Location(Result):
    """Where a choice uses a concept. Shares are of what exchanging the text itself does to the choices.

    Example
    -------
    >>> items = [item.model_copy(update={"split": None}) for item in concept.choices]
    >>> found = probes.locate(stage, items, dimensions=(1,), n_random=2, steps=2, progress=False)
    >>> found.role in found.roles, found.used.low <= found.used.value <= found.used.high
    (True, True)
    """

    layers: list[int]
    """The layers that were searched."""
    roles: list[Role]
    """The roles of tokens that were searched."""
    selection: Mapping[str, np.ndarray]
    """"whole_state" and "class_mean" -> `[layer, role, item]`, how far the exchange moves each choice of the
    selection items, in logits. NaN where an item has no such tokens."""
    selection_total: np.ndarray
    """`[item]`: how far exchanging the text moves the choices of the selection items."""
    layer: int
    """The layer that was chosen on the selection items."""
    role: Role
    """The role that was chosen."""
    ids: list[str]
    """`[item]`: the names of the test items."""
    total: np.ndarray
    """`[item]`: how far exchanging the text moves the choices of the test items, in logits."""
    sizes: np.ndarray
    """`[item]`: the mean absolute choice logit of the two prompts of each test item."""
    shifts: Mapping[str, np.ndarray]
    """Variant -> `[item]`, how far an exchange at the chosen site moves the choices of the test items."""
    erased: Mapping[str, np.ndarray]
    """Variant -> `[item]`, how far holding the component at its mean moves them."""
    random: Mapping[str, np.ndarray]
    """The best variant -> `[n_random]`, the mean shifts of random subspaces of its dimension and dose, to
    first order."""
    subspaces: Mapping[str, Subspace]
    """Variant -> its subspace, which can be saved, pushed along, and exchanged at other stages."""
    best: str
    """The variant that moved the choices of the selection items most."""
    refits: tuple[Subspace, ...] = ()
    """The best variant learned again on resampled training items, as often as was asked for."""
    damage: float | None = None
    """The KL to the intact model on neutral text, in nats per token, with the best variant's component held
    at its mean at as many of the tokens there as have the role in a prompt; None where it was not
    measured."""
    note: str = ""
    """How many items were aligned, and how."""
    columns: dict[str, Any] = field(default_factory=dict)
    """The columns of `.table` that are the same in every row."""

    def __repr__(self) -> str:
        return (
            f"Location(layer {self.layer}, {self.role}: {self.best} moves {self.used.value:.2f} "
            f"[{self.used.low:.2f}, {self.used.high:.2f}] of the choice, {len(self.ids)} items)"
        )

    @property
    def text_effect(self) -> Estimate:
        """How far exchanging the text itself moves the choices, in logits. Where it moves nothing, nothing
        inside can be used for the choice."""
        return mean_interval(self.total, self.ids, seed=self._seed)

    def share(self, variant: str) -> Estimate:
        """The share of the text's effect that an exchange at the chosen site has, on the test items.

        Raises
        ------
        InputError : there is no such variant.

        Example
        -------
        >>> items = [item.model_copy(update={"split": None}) for item in concept.choices]
        >>> found = probes.locate(stage, items, dimensions=(1,), n_random=2, steps=2, progress=False)
        >>> found.share("whole_state").n
        4
        """
        if variant not in self.shifts:
            raise InputError(f"no exchange {variant!r}: there is {', '.join(self.shifts)}")
        return ratio_of_means(self.shifts[variant], self.total, self.ids)

    @property
    def followed(self) -> Estimate:
        """The share of the choice that follows what is exchanged, from -1 to 1 (see
        `probes.locating.ChoiceShifts.followed`)."""
        return ChoiceShifts(self.ids, self.total, self.sizes).followed

    @property
    def used(self) -> Estimate:
        """The share that the best direction or subspace moves, chosen on the selection items."""
        return self.share(self.best)

    @property
    def control(self) -> str | None:
        """The control that moves the choices most: the subspace that was learned on random targets, or the
        direction of another concept; None where there is neither."""
        controls = [name for name in self.shifts if name == SHUFFLED or name.startswith(OTHER)]
        sign = np.sign(self.total.mean())
        return max(controls, key=lambda name: float(sign * self.shifts[name].mean()), default=None)

    @property
    def specific(self) -> Estimate | None:
        """The share of the best variant minus that of the strongest control, paired by item; None without a
        control."""
        if self.control is None:
            return None
        gap = self.shifts[self.best] - self.shifts[self.control]
        return ratio_of_means(gap, self.total, self.ids)

    @property
    def noise_floor(self) -> np.ndarray:
        """The mean principal angles between refits, and of refits with the best variant, in degrees `[k]`:
        how far the subspace turns when nothing but the training items changes.

        Raises
        ------
        InputError : there are no refits.
        """
        if not self.refits:
            raise InputError("no refits: expected some, as locate(..., refits=3) makes them")
        found = [self.subspaces[self.best], *self.refits]
        return np.mean([a.angles(b) for a, b in combinations(found, 2)], axis=0)

    @property
    def necessary(self) -> Estimate:
        """The share of the choice that is gone when the best variant's component is held at its mean."""
        return ratio_of_means(2 * self.erased[self.best], self.total, self.ids)

    @property
    def p_value(self) -> float:
        """The p-value of the best variant's shift among those of random subspaces like it."""
        return p_among_random(float(self.shifts[self.best].mean()), self.random[self.best])

    @property
    def chance(self) -> float:
        """The lower end of the exact 95% interval of the share of random subspaces that do at least as
        much."""
        random, effect = self.random[self.best], abs(float(self.shifts[self.best].mean()))
        return share_interval(int((np.abs(random) >= effect).sum()), len(random)).low

    @property
    def _seed(self) -> int:
        return int(self.columns.get("seed") or 0)

    @property
    def table(self) -> pl.DataFrame:
        """Rows in the columns of `probes.tables.schema.SCHEMA`.

        `site_search`: every layer and role (column `position`), on the selection items. `exchange_share`: the
        variants at the chosen site, on the test items, with the range of random subspaces beside each.
        `erased_share`: the share that erasing takes away, which is 1 where nothing of the choice is left.
        `exchange_specific`: the best variant's share minus that of the strongest control. `erased_kl`: what
        erasing does to neutral text. `exchange_total`: what exchanging the text does, in logits, and
        `followed` as a share of the choice. `exchange_p`: that of the best variant.
        """
        names = [f"selection{i}" for i in range(len(self.selection_total))]
        rows: list[dict[str, Any]] = []
        for variant, shifts in self.selection.items():
            for i, layer in enumerate(self.layers):
                for j, role in enumerate(self.roles):
                    have = np.isfinite(shifts[i, j])
                    if have.sum() > 1 and self.selection_total[have].mean():
                        share = ratio_of_means(
                            shifts[i, j][have],
                            self.selection_total[have],
                            np.array(names)[have],
                        )
                        where = {"layer": layer, "position": role, "selected": self._is_chosen(layer, role)}
                        rows.append(
                            where | {"measure": "site_search", "variant": variant} | interval_columns(share)
                        )
        here = {"layer": self.layer, "position": self.role, "selected": True}
        for variant in self.shifts:
            share = interval_columns(self.share(variant))
            rows.append(here | {"measure": "exchange_share", "variant": variant} | share)
            if variant in self.random:
                rows.append(here | self._random_row(variant))
        for variant, shifts in self.erased.items():
            lost = ratio_of_means(2 * shifts, self.total, self.ids)
            rows.append(here | {"measure": "erased_share", "variant": variant} | interval_columns(lost))
        if self.specific is not None:
            over = {"measure": "exchange_specific", "variant": self.best}
            rows.append(here | over | interval_columns(self.specific))
        for measure, estimate in (("exchange_total", self.text_effect), ("followed", self.followed)):
            rows.append({"measure": measure, "variant": "text"} | interval_columns(estimate))
        if self.damage is not None:
            rows.append(here | {"measure": "erased_kl", "variant": self.best, "estimate": self.damage})
        p = {
            "measure": "exchange_p",
            "variant": self.best,
            "estimate": self.p_value,
            "n_pairs": len(self.ids),
        }
        return tidy(self.columns | row for row in [*rows, here | p])

    def _is_chosen(self, layer: int, role: Role) -> bool:
        return (layer, role) == (self.layer, self.role)

    def _random_row(self, variant: str) -> dict[str, Any]:
        shares = self.random[variant] / self.total.mean()
        low, high = np.quantile(shares, [0.025, 0.975])
        numbers = {"estimate": float(shares.mean()), "ci_low": float(low), "ci_high": float(high)}
        return {
            "measure": "exchange_share",
            "variant": f"{variant}_random",
            "n_pairs": len(self.ids),
        } | numbers
