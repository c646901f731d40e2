"""How far exchanges move the choices of items: the parts of `locate` that run the model.

It stands apart from `location`, which decides what is exchanged and what the results mean.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from probes.activations import RunContext
from probes.locating.aligning import Role
from probes.locating.das import distributed_alignment, first_guess
from probes.locating.patching import Chunk, Edit, Patcher, whole
from probes.locating.subspaces import READERS, Within, orthonormal, random_basis, read_direction
from probes.models import Site
from probes.probing import Subspace
from probes.stats.estimates import Estimate
from probes.stats.jackknife import ratio_of_means


@dataclass(frozen=True)
class ChoiceShifts:
    """The choices of items, and how far exchanging the text, the options or the question moves them."""

    ids: list[str]
    """`[item]`: the names of the items."""
    totals: np.ndarray
    """`[item]`: the choice logit of one prompt minus that of the other. It is positive where the choice goes
    by what is exchanged."""
    sizes: np.ndarray
    """`[item]`: the mean absolute choice logit of the two prompts."""

    @property
    def followed(self) -> Estimate:
        """The share of the choice that follows what is exchanged: half the mean of `totals` over the mean of
        `sizes`. It is 1 where every choice turns round with it, 0 where none depends on it, and -1 where
        every choice goes against it."""
        return ratio_of_means(self.totals / 2, self.sizes, self.ids)


def choice_shifts(patcher: Patcher) -> ChoiceShifts:
    """The choices of all exchanges, by item."""
    ids: list[str] = []
    totals: list[float] = []
    sizes: list[float] = []
    for chunk in patcher.chunks([]):
        ids += [one.id for one in chunk.exchanges]
        totals += (chunk.intact[:, 0] - chunk.intact[:, 1]).tolist()
        sizes += chunk.intact.abs().mean(1).tolist()
    names = sorted(set(ids))
    return ChoiceShifts(names, _by_item(names, ids, totals), _by_item(names, ids, sizes))


class ItemShifts:
    """The parts of `locate` that run the model. Every shift is that of an item, over its exchanges and both
    sides: what the patched choice moves towards that of the other side."""

    def __init__(self, context: RunContext, parts: Mapping[str, Patcher], progress: bool, concept: str = ""):
        self.context = context
        self.concept = concept
        self.parts = parts
        self.bar = tqdm(desc=f"locate {context.name}", unit="site", file=sys.stderr, disable=not progress)

    def totals(self, part: str) -> ChoiceShifts:
        """How far exchanging the text moves the choices of a part."""
        return choice_shifts(self.parts[part])

    def search(
        self, layers: Sequence[int], roles: Sequence[Role]
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The shifts `[layer, role, item]` of whole states and of class means on the selection items, and the
        totals `[item]`."""
        means = self._class_means(layers, roles)
        choices = self.totals("select")
        names, total = choices.ids, choices.totals
        sites: list[tuple[int, Role]] = [(layer, role) for layer in layers for role in roles]
        moved: dict[tuple[str, int, Role], list[float]] = {
            (variant, *site): [] for variant in ("whole_state", "class_mean") for site in sites
        }
        ids: list[str] = []
        self.bar.reset(total=len(sites) * (1 + len(self.parts["select"].exchanges) // 64))
        for chunk in self.parts["select"].chunks(layers):
            ids += [one.id for one in chunk.exchanges]
            for layer, role in sites:
                edits: dict[str, Edit] = {"whole_state": whole}
                if (layer, role) in means:
                    edits["class_mean"] = Within(means[layer, role])
                for variant, shifts in self._moved("select", chunk, layer, role, edits).items():
                    moved[variant, layer, role] += shifts
                self.bar.update()
        shape = (len(layers), len(roles), len(names))
        found = {variant: np.full(shape, np.nan) for variant in ("whole_state", "class_mean")}
        for (variant, layer, role), values in moved.items():
            if values:
                found[variant][layers.index(layer), roles.index(role)] = _by_item(names, ids, values)
        return found, total

    def shifts(self, part: str, layer: int, role: Role, edits: Mapping[str, Edit]) -> dict[str, np.ndarray]:
        """Edit -> `[item]`, how far it moves each choice; NaN for an item without tokens of the role."""
        ids: list[str] = []
        moved: dict[str, list[float]] = {name: [] for name in edits}
        for chunk in self.parts[part].at_layer(layer):
            ids += [one.id for one in chunk.exchanges]
            for name, values in self._moved(part, chunk, layer, role, edits).items():
                moved[name] += values
        names = sorted(set(ids))
        return {name: _by_item(names, ids, values) for name, values in moved.items()}

    def _moved(
        self, part: str, chunk: Chunk, layer: int, role: Role, edits: Mapping[str, Edit]
    ) -> dict[str, list[float]]:
        """Edit -> how far it moves the choice of each exchange; NaN for one without tokens of the role."""
        has = torch.tensor([float("nan") if role not in one.roles else 0.0 for one in chunk.exchanges])
        moved = {}
        with torch.no_grad():
            for name, edit in edits.items():
                gone = chunk.intact - self.parts[part].patched(chunk, layer, role, edit)
                moved[name] = ((gone[:, 0] - gone[:, 1]) / 2 + has).tolist()
        return moved

    def variants(
        self, layer: int, role: Role, dimensions: Sequence[int], steps: int, seed: int
    ) -> dict[str, torch.Tensor]:
        """Variant -> the basis of its subspace, fitted on the training items."""
        states, differences, signs = self.states("train", layer, role)
        bases = {name: orthonormal(read_direction(name, states, signs)[None]) for name in READERS}
        train, select = self.parts["train"], self.parts["select"]
        for k in dimensions:
            start = first_guess(states, differences, signs, k)
            bases[f"das_{k}"] = distributed_alignment(train, select, layer, role, start, steps=steps)
        if dimensions:
            ids = sorted({one.id for one in (*train.exchanges, *select.exchanges)})
            targets = dict(zip(ids, _halves(len(ids), seed), strict=True))
            start = random_basis(max(dimensions), states.shape[1], seed)
            bases["das_shuffled"] = distributed_alignment(
                train, select, layer, role, start, steps=steps, targets=targets
            )
        return bases

    def again(self, name: str, layer: int, role: Role, k: int, steps: int, seed: int) -> torch.Tensor:
        """`[k, d]`: the basis of a variant, fitted anew on training items that are drawn with replacement."""
        exchanges = self.parts["train"].exchanges
        ids = sorted({one.id for one in exchanges})
        drawn = [ids[i] for i in np.random.default_rng(seed).integers(len(ids), size=len(ids))]
        resampled = [one for item in drawn for one in exchanges if one.id == item]
        work = ItemShifts(self.context, {"train": Patcher(self.context, resampled)}, progress=False)
        states, differences, signs = work.states("train", layer, role)
        if name in READERS:
            return orthonormal(read_direction(name, states, signs)[None])
        start = first_guess(states, differences, signs, k)
        return distributed_alignment(
            work.parts["train"], self.parts["select"], layer, role, start, steps=steps
        )

    def described(self, name: str, basis: torch.Tensor, layer: int, role: Role) -> Subspace:
        """The subspace of a variant, with its gaps and covariance on the training items."""
        states, _, signs = self.states("train", layer, role)
        return Subspace.of_states(
            basis.numpy(),
            states,
            signs > 0,
            site=Site("resid_post", layer),
            position=role,
            stage=str(self.context.columns["stage"]),
            concept=self.concept,
            method=name,
            digest=self.context.digest([one.prompts for one in self.parts["train"].exchanges], name),
        )

    def centre(self, layer: int, role: Role) -> torch.Tensor:
        """`[d]`: half way between the class means on the training items."""
        states, _, signs = self.states("train", layer, role)
        middle = (states[signs > 0].mean(0) + states[signs < 0].mean(0)) / 2
        return torch.tensor(middle, dtype=torch.float32)

    def random(self, layer: int, role: Role, basis: torch.Tensor, n: int) -> np.ndarray:
        """`[n]`: to first order, the mean shifts on the test items when what would be exchanged within a
        subspace is added along random vectors instead.

        One pass with gradients serves any number of them.
        """
        k, width = basis.shape
        drawn = np.stack([random_basis(k, width, self.context.seed + i).numpy() for i in range(n)])
        random = torch.tensor(drawn)
        ids: list[str] = []
        shifts: list[np.ndarray] = []
        for chunk in self.parts["test"].at_layer(layer):
            ids += [one.id for one in chunk.exchanges]
            inside, slopes, which = self._slopes(chunk, layer, role, basis)
            moved = torch.zeros(len(chunk.exchanges), n)
            moved.index_add_(0, which, torch.einsum("tk,rkd,td->tr", inside, random, slopes))
            shifts += list(moved.numpy())
        names = sorted(set(ids))
        return np.array([_by_item(names, ids, of_one).mean() for of_one in np.stack(shifts, axis=1)])

    def _slopes(
        self, chunk: Chunk, layer: int, role: Role, basis: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """For every token of a role: what an exchange would move within a subspace `[token, k]`, the gradient
        of its exchange's shift `[token, d]`, and the number of the exchange `[token]`."""
        here, there, _ = chunk.places(role)
        rows = [row.exchange for row in chunk.rows]
        if not len(here):
            return (
                torch.zeros(0, len(basis)),
                torch.zeros(0, basis.shape[1]),
                torch.zeros(0, dtype=torch.long),
            )
        states = chunk.states[layer]
        inside = (states[there[:, 0], there[:, 1]] - states[here[:, 0], here[:, 1]]).float() @ basis.T
        push = torch.zeros(len(here), basis.shape[1], requires_grad=True)
        patched = self.parts["test"].patched(chunk, layer, role, lambda here, there, sign: here + push)
        ((patched[:, 1] - patched[:, 0]).sum() / 2).backward()
        assert push.grad is not None
        return inside, push.grad, torch.tensor([rows[row] for row in here[:, 0].tolist()])

    def _class_means(
        self, layers: Sequence[int], roles: Sequence[Role]
    ) -> dict[tuple[int, Role], torch.Tensor]:
        """(Layer, role) -> the direction `[1, d]` between the class means on the training items."""
        sums: dict[tuple[int, Role], np.ndarray] = {}
        for chunk in self.parts["train"].chunks(layers):
            for role in roles:
                here, _, signs = chunk.places(role)
                for layer in layers if len(here) else ():
                    values = chunk.states[layer][here[:, 0], here[:, 1]].numpy().astype(float)
                    mean = (values * signs.numpy()[:, None]).sum(0)  # each class has as many tokens
                    sums[layer, role] = sums.get((layer, role), 0) + mean
        return {where: orthonormal(vector[None]) for where, vector in sums.items() if np.linalg.norm(vector)}

    def states(self, part: str, layer: int, role: Role) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The states `[token, d]` of a role's tokens, those of the tokens they correspond to minus them, and
        the signs `[token]`."""
        values, others, signs = [], [], []
        for chunk in self.parts[part].at_layer(layer):
            here, there, sign = chunk.places(role)
            if len(here):
                states = chunk.states[layer].numpy().astype(float)
                values.append(states[here[:, 0], here[:, 1]])
                others.append(states[there[:, 0], there[:, 1]])
                signs.append(sign.numpy())
        states = np.concatenate(values)
        return states, np.concatenate(others) - states, np.concatenate(signs)


def _by_item(names: Sequence[str], ids: Sequence[str], values: Sequence[float]) -> np.ndarray:
    """The mean of the values of each item, in the order of `names`."""
    sums = {name: [] for name in names}
    for item, value in zip(ids, values, strict=True):
        sums[item].append(value)
    return np.array([np.mean(sums[name]) for name in names])


def _halves(n: int, seed: int) -> list[int]:
    """1 and -1 in equal numbers, in random order."""
    return np.random.default_rng(seed).permutation([1 if i % 2 else -1 for i in range(n)]).tolist()
