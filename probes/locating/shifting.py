"""How far exchanges move the choices of items: the parts of `locate` that run the model.

It stands apart from `location`, which decides what is exchanged and what the results mean.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from tqdm import tqdm

from probes.activations import RunContext
from probes.locating.aligning import Role
from probes.locating.das import distributed_alignment, first_guess
from probes.locating.patching import Chunk, Edit, Patcher, whole
from probes.locating.subspaces import READERS, Within, orthonormal, random_basis, read_direction


class ItemShifts:
    """The parts of `locate` that run the model. Every shift is that of an item, over its exchanges and both
    sides: what the patched choice moves towards that of the other side."""

    def __init__(self, context: RunContext, parts: Mapping[str, Patcher], progress: bool):
        self.context = context
        self.parts = parts
        self.bar = tqdm(desc=f"locate {context.name}", unit="site", file=sys.stderr, disable=not progress)

    def totals(self, part: str) -> tuple[list[str], np.ndarray]:
        """The names of the items of a part, and how far exchanging the text moves their choices."""
        patcher = self.parts[part]
        ids, totals = [], []
        for chunk in patcher.chunks([]):
            ids += [one.id for one in chunk.exchanges]
            totals += (chunk.intact[:, 0] - chunk.intact[:, 1]).tolist()
        names = sorted(set(ids))
        return names, _by_item(names, ids, totals)

    def search(
        self, layers: Sequence[int], roles: Sequence[Role]
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The shifts `[layer, role, item]` of whole states and of class means on the selection items, and the
        totals `[item]`."""
        means = self._class_means(layers, roles)
        names, total = self.totals("select")
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

    def centre(self, layer: int, role: Role) -> torch.Tensor:
        """`[d]`: half way between the class means on the training items."""
        states, _, signs = self.states("train", layer, role)
        middle = (states[signs > 0].mean(0) + states[signs < 0].mean(0)) / 2
        return torch.tensor(middle, dtype=torch.float32)

    def random(
        self, layer: int, role: Role, bases: Mapping[str, torch.Tensor], n: int
    ) -> dict[str, np.ndarray]:
        """Variant -> `[n]`, the mean shifts on the test items along random vectors instead of its own."""
        width, seed = self.context.model.d_model, self.context.seed
        edits: dict[str, Edit] = {
            f"{name} {i}": Within(basis, random_basis(len(basis), width, seed + i))
            for name, basis in bases.items()
            for i in range(n)
        }
        shifts = self.shifts("test", layer, role, edits)
        return {name: np.array([shifts[f"{name} {i}"].mean() for i in range(n)]) for name in bases}

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
