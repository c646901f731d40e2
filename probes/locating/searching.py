"""`locate`: the search for the layer, the tokens and the subspace in which a choice uses a concept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Unpack

import numpy as np
import torch
from torch import Tensor

from probes.activations import AnyStage, RunOptions, run_context
from probes.concepts import ChoiceItem, Concept
from probes.errors import InputError
from probes.locating.aligning import ROLES, Exchange, Exchanged, Role, align, exchanged_by
from probes.locating.das import STEPS
from probes.locating.location import OTHER, SHUFFLED, Location
from probes.locating.patching import Edit, Patcher, whole
from probes.locating.shifting import ItemShifts
from probes.locating.splitting import split_items
from probes.locating.subspaces import Held, Within, orthonormal
from probes.models import Site
from probes.steering import Ablate
from probes.steering.controls import require_random
from probes.steering.damage import damage

DIMENSIONS = (1, 2, 4)
"""The dimensions of the subspaces that distributed alignment search learns."""
UPSTREAM = 0.5
"""The share of the effect that whole states before the last token must move for the site to be searched among
them alone. At the last token of high layers the state holds the answer itself, whatever it was made of."""


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
    """The positions of every `n`-th token of a text, counted from its second; of the middle one in a text
    that has no `n`-th."""

    n: int

    def __call__(self, attention_mask: Tensor) -> Tensor:
        """Bool `[batch, seq]`, from an attention mask `[batch, seq]`."""
        place = attention_mask.cumsum(-1) - 1
        last = place.amax(-1, keepdim=True)
        chosen = torch.where(last < self.n, place == (last + 1) // 2, place % self.n == 0)
        return (place > 0) & chosen & attention_mask.bool()


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
