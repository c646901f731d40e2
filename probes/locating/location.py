"""`locate`: at which layer and tokens a choice uses a concept, and in which subspace of the states there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl
from torch import Tensor

from probes.activations import AnyStage, RunOptions, run_context
from probes.concepts import ChoiceItem, Concept
from probes.errors import InputError
from probes.locating.aligning import ROLES, Exchange, Exchanged, Role, align, exchanged_by
from probes.locating.das import STEPS
from probes.locating.patching import Edit, Patcher, whole
from probes.locating.shifting import ChoiceShifts, ItemShifts
from probes.locating.splitting import split_items
from probes.locating.subspaces import Held, Within, orthonormal
from probes.models import Site
from probes.probing import Subspace
from probes.stats.estimates import Estimate, mean_interval, ratio_interval
from probes.steering import Ablate
from probes.steering.controls import p_among_random, require_random
from probes.steering.damage import damage
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy

DIMENSIONS = (1, 2, 4)
"""The dimensions of the subspaces that distributed alignment search learns."""
SHUFFLED = "das_shuffled"
"""The variant that is learned on random targets."""
UPSTREAM = 0.5
"""The share of the effect that whole states before the last token must move for the site to be searched among
them alone. At the last token of high layers the state holds the answer itself, whatever it was made of."""
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
        return ratio_interval(self.shifts[variant], self.total, self.ids, seed=self._seed)

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
        return ratio_interval(gap, self.total, self.ids, seed=self._seed)

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
        return ratio_interval(2 * self.erased[self.best], self.total, self.ids, seed=self._seed)

    @property
    def p_value(self) -> float:
        """The p-value of the best variant's shift among those of random subspaces like it."""
        return p_among_random(float(self.shifts[self.best].mean()), self.random[self.best])

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
                        share = ratio_interval(
                            shifts[i, j][have],
                            self.selection_total[have],
                            np.array(names)[have],
                            seed=self._seed,
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
            lost = ratio_interval(2 * shifts, self.total, self.ids, seed=self._seed)
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


def locate(
    stage: AnyStage,
    concept: Concept | Sequence[ChoiceItem],
    *,
    exchanged: Exchanged | None = None,
    layers: Literal["all"] | Sequence[int] = "all",
    every: int = 1,
    dimensions: Sequence[int] = DIMENSIONS,
    n_random: int = 999,
    steps: int = STEPS,
    others: Mapping[str, Mapping[int, np.ndarray]] | None = None,
    texts: Sequence[str] = (),
    refits: int = 0,
    **run: Unpack[RunOptions],
) -> Location:
    """Find where a stage's choices use a concept: exchange states between two prompts, and see what follows.

    Every choice item gives two prompts whose right answers are opposite (see `probes.locating.EXCHANGED`).
    Putting the states of some tokens of one into the other (an interchange intervention, Geiger et al. 2021,
    arXiv 2106.02997) moves the choice as far as the model reads its answer there. The search does that with
    whole states, and with their component along the difference of the class means, at every layer and for
    every role of tokens, on the selection items. At the site where the class means move most (the last token
    counts only where nothing before it does, see `UPSTREAM`), directions and subspaces are then exchanged on
    the test items: the class means, a probe, LDA, and subspaces that
    distributed alignment search learns on the training items (Geiger et al. 2023, arXiv 2303.02536).

    Everything is a share of what exchanging the text does. The last block's output is not searched, because
    what is left above it is the head alone.

    Parameters
    ----------
    stage : a stage, a loaded stage, a hooked model or a run context.
    concept : a concept with choice items, of which the canonical ones are used, or choice items.
    exchanged : "text", "options" or "question"; by default the texts of completions, else the options.
    layers : the layers to search, by default all but the last.
    every : search only every so many of them.
    dimensions : the dimensions of the subspaces that are learned; () learns none.
    n_random : the number of random subspaces that the best variant is compared with, to first order. They
        have its dimension, and add what it exchanges along other vectors.
    steps : the most steps of distributed alignment search.
    others : name of another concept -> layer -> its direction `[d]`, which is exchanged as a control.
    texts : neutral texts, on which the damage of erasing is measured; without them it is not.
    refits : how often the best variant is learned again on resampled training items, for
        `Location.noise_floor`.
    run : see `probes.activations.RunOptions`; its seed draws the split, where items mark none, and the
        controls.

    Returns
    -------
    Location

    Raises
    ------
    ConceptError : no item can be aligned, or as `probes.locating.exchanged_by`.
    InputError : there are too few items, a dimension is not from 1 to the width, or `n_random` is less
        than 1.

    Example
    -------
    >>> items = [item.model_copy(update={"split": None}) for item in concept.choices]
    >>> found = probes.locate(
    ...     stage, items, exchanged="options", layers="all", every=1, dimensions=(1, 2), n_random=2,
    ...     steps=2, others={"noise": {0: np.ones(32), 1: np.ones(32)}},
    ...     texts=["the plain chair was sold"], refits=1, progress=False,
    ... )
    >>> sorted(found.shifts)
    ['class_mean', 'das_1', 'das_2', 'das_shuffled', 'lda', 'other: noise', 'probe', 'whole_state']
    >>> len(found.noise_floor) == found.subspaces[found.best].k
    True
    """
    require_random(n_random)
    context = run_context(stage, **run)
    model, seed = context.model, context.seed
    if bad := [k for k in dimensions if not 1 <= k <= model.d_model]:
        raise InputError(
            f"a subspace of dimension {bad[0]}: expected 1 to the width of the states, {model.d_model}"
        )
    items = (
        [item for item in concept.choices if item.shift is None] if isinstance(concept, Concept) else concept
    )
    kind = exchanged or exchanged_by(items)
    aligned = {part: align(of_part, context, kind) for part, of_part in split_items(items, seed).items()}
    parts = {part: Patcher(context, of_part.exchanges) for part, of_part in aligned.items()}
    roles: list[Role] = [
        role for role in ROLES if any(role in one.roles for one in aligned["test"].exchanges)
    ]
    searched = _layers(layers, every, model.n_layers)
    name = concept.name if isinstance(concept, Concept) else ""
    work = ItemShifts(context, parts, context.progress, name)
    selection, total = work.search(searched, roles)
    i, j = _best_site(selection, roles, total)
    layer, role = searched[i], roles[j]
    variants = work.variants(layer, role, dimensions, steps, seed)
    edits: dict[str, Edit] = {"whole_state": whole}
    edits |= {name: Within(basis) for name, basis in variants.items()}
    edits |= {
        f"{OTHER}{name}": Within(orthonormal(np.asarray(of_other[layer])[None]))
        for name, of_other in (others or {}).items()
        if layer in of_other
    }
    chosen = [name for name in variants if name != SHUFFLED]
    on_selection = work.shifts("select", layer, role, {name: edits[name] for name in chosen})
    sign = np.sign(total.mean() or 1)
    best = max(chosen, key=lambda name: float(sign * on_selection[name].mean()))
    centre = work.centre(layer, role)
    held: dict[str, Edit] = {
        name: Held(variants[name], centre) for name in dict.fromkeys(("class_mean", best))
    }
    random = work.random(layer, role, variants[best], n_random)
    shifts = work.shifts("test", layer, role, edits)
    erased = work.shifts("test", layer, role, held)
    work.bar.close()
    again = [work.again(best, layer, role, len(variants[best]), steps, seed + 1 + i) for i in range(refits)]
    choices = work.totals("test")
    some = EverySoMany(_tokens_to_one(aligned["test"].exchanges, role))
    holds = [Ablate(Site("resid_post", layer), row, centre, some) for row in variants[best]]
    columns = context.columns | {
        "concept": name or None,
        "site": "resid_post",
        "render": "plain" if kind == "text" else context.render_name,
        "n_seeds": 1,
        "seed": seed,
        "digest": context.digest(
            [one.prompts for p in aligned.values() for one in p.exchanges], kind, list(edits)
        ),
    }
    return Location(
        layers=searched,
        roles=roles,
        selection=selection,
        selection_total=total,
        layer=layer,
        role=role,
        ids=choices.ids,
        total=choices.totals,
        sizes=choices.sizes,
        shifts=shifts,
        erased=erased,
        random={best: random},
        subspaces={name: work.described(name, basis, layer, role) for name, basis in variants.items()},
        best=best,
        refits=tuple(work.described(best, basis, layer, role) for basis in again),
        damage=damage(context, holds, texts).mean_kl if texts else None,
        note=f"{kind} exchanged; test: {aligned['test'].note}",
        columns=columns,
    )


@dataclass(frozen=True)
class EverySoMany:
    """The positions of every `n`-th token of a text, counted from its second."""

    n: int

    def __call__(self, attention_mask: Tensor) -> Tensor:
        """Bool `[batch, seq]`, from an attention mask `[batch, seq]`."""
        place = attention_mask.cumsum(-1) - 1
        return (place > 0) & (place % self.n == 0) & attention_mask.bool()


def _tokens_to_one(exchanges: Sequence[Exchange], role: Role) -> int:
    """How many tokens of a prompt there are to one of the role, rounded."""
    here = sum(len(one.roles.get(role, ())) for one in exchanges)
    return max(1, round(sum(len(one.prompts[0]) for one in exchanges) / max(1, here)))


def _layers(layers: Literal["all"] | Sequence[int], every: int, n_layers: int) -> list[int]:
    if every < 1:
        raise InputError(f"every={every}: expected a number from 1 on")
    below = list(range(max(1, n_layers - 1)))
    wanted = below if layers == "all" else list(layers)
    if unknown := [layer for layer in wanted if layer not in below]:
        raise InputError(
            f"layer {unknown[0]}: expected one from 0 to {below[-1]}, as the last block's output is not "
            "searched"
        )
    return wanted[::-1][::every][::-1]


def _best_site(
    selection: Mapping[str, np.ndarray], roles: Sequence[Role], total: np.ndarray
) -> tuple[int, int]:
    """The numbers of the layer and the role whose exchange moves the selection items most.

    The last token is taken only where whole states move less than `UPSTREAM` of the effect everywhere else.
    """
    have = np.isfinite(selection["class_mean"])
    n, size = np.maximum(1, have.sum(-1)), total.mean() or 1.0
    whole_states, class_means = (
        np.where(have, selection[variant], 0).sum(-1) / n / size for variant in ("whole_state", "class_mean")
    )
    before = np.array([role != "last" for role in roles])
    if before.any() and whole_states[:, before].max() >= UPSTREAM:
        class_means = np.where(before, class_means, -np.inf)
    i, j = np.unravel_index(int(class_means.argmax()), class_means.shape)
    return int(i), int(j)
