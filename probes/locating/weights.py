"""The weights of two stages of one shape, side by side, in units that can be put from one into the other.

A unit is the attention or the MLP of one block, the embeddings, or the head. An adapter on the same weights
is grafted exactly this way (task arithmetic by module; Ilharco et al. 2022, arXiv 2212.04089; grafting after
Panigrahi et al. 2023, arXiv 2302.06600), and so is the difference of two full checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from probes.errors import InputError
from probes.models.architecture import find_architecture

Part = Literal["embeddings", "attention", "MLP", "head"]


class Unit(NamedTuple):
    """A place in a model whose weights are changed together."""

    layer: int | None
    """The block; None for the embeddings and for the head."""
    part: Part

    @property
    def height(self) -> tuple[int, int, int]:
        """What units are sorted by, from the embeddings upwards."""
        ends = {"embeddings": -1, "head": 1}
        return ends.get(self.part, 0), self.layer or 0, int(self.part == "MLP")

    def __str__(self) -> str:
        return self.part if self.layer is None else f"{self.part} {self.layer}"


@dataclass(frozen=True)
class WeightPair:
    """Two models of one shape, whose equal weights can be kept in memory once.

    Example
    -------
    >>> pair = WeightPair.of(lineage["mid"].load().model, lineage["base"].load().model)
    >>> [str(unit) for unit in pair.units][:3]
    ['attention 0', 'MLP 0', 'attention 1']
    """

    child: Any
    parent: Any
    differing: tuple[str, ...]
    """The names of the weights that are not the same in both."""

    @classmethod
    def of(cls, child: Any, parent: Any, share: bool = False) -> WeightPair:
        """Pair two transformers models.

        Parameters
        ----------
        share : whether the child gets the parent's tensors where they are equal, which saves memory. An edit
            in place of one model then changes the other too.

        A head that shares its weights with the embeddings in one of the models alone gets its own there.

        Raises
        ------
        InputError : the models are not of one shape.
        """
        for model, other in ((child, parent), (parent, child)):
            _untie_like(model, other)
        check_shapes(child, parent)
        ours = dict(child.named_parameters())
        differing = []
        for name, weight in parent.named_parameters():
            if not torch.equal(ours[name], weight.to(ours[name].device)):
                differing.append(name)
            elif share and ours[name].device == weight.device:
                ours[name].data = weight.data
        return cls(child, parent, tuple(differing))

    @cached_property
    def names(self) -> dict[Unit, tuple[str, ...]]:
        """Unit -> the names of its weights that differ, from the embeddings upwards.

        Raises
        ------
        InputError : a block's attention cannot be told from its MLP.
        """
        places = _places(self.parent)
        units = sorted({places[name] for name in self.differing}, key=lambda unit: unit.height)
        return {unit: tuple(name for name in self.differing if places[name] == unit) for unit in units}

    @property
    def units(self) -> list[Unit]:
        """The units whose weights differ, from the embeddings upwards."""
        return list(self.names)

    @contextmanager
    def grafted(self, units: Iterable[Unit], into: Literal["parent", "child"] = "parent") -> Iterator[Any]:
        """Inside, one of the models has the other's weights in some units; it is given."""
        host, donor = (self.parent, self.child) if into == "parent" else (self.child, self.parent)
        weights = dict(donor.named_parameters())
        new = {name: weights[name].data for unit in units for name in self.names.get(unit, ())}
        with _replaced(host, new):
            yield host

    @contextmanager
    def scaled(self, dose: float) -> Iterator[Any]:
        """Inside, the parent has `dose` times the difference of the two stages added; it is given."""
        with self._changed(self.units, lambda difference: difference * dose):
            yield self.parent

    @contextmanager
    def randomised(self, units: Sequence[Unit], seed: int) -> Iterator[Any]:
        """Inside, the parent has random updates in some units, in place of the child's; it is given.

        Each is the child's with its rows and columns shuffled and their signs flipped at random. So its norm,
        its rank and all its singular values are those of the child's, and its directions are not.
        """
        draw = torch.Generator().manual_seed(seed)
        with self._changed(units, lambda difference: shuffled(difference, draw)):
            yield self.parent

    @contextmanager
    def _changed(self, units: Iterable[Unit], change: Any) -> Iterator[None]:
        ours, theirs = dict(self.child.named_parameters()), dict(self.parent.named_parameters())
        new = {}
        for unit in units:
            for name in self.names.get(unit, ()):
                difference = ours[name].data.to(theirs[name].device) - theirs[name].data
                new[name] = theirs[name].data + change(difference)
        with _replaced(self.parent, new):
            yield


def shuffled(difference: Tensor, draw: torch.Generator) -> Tensor:
    """A weight difference with its rows and columns shuffled and their signs flipped at random.

    Example
    -------
    >>> difference = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    >>> random = shuffled(difference, torch.Generator().manual_seed(1))
    >>> bool(torch.allclose(torch.linalg.svdvals(random), torch.linalg.svdvals(difference), atol=1e-5))
    True
    """
    result = difference
    for dim, size in enumerate(difference.shape):
        order = torch.randperm(size, generator=draw).to(difference.device)
        signs = (torch.randint(2, (size,), generator=draw) * 2 - 1).to(difference)
        shape = [1] * difference.dim()
        shape[dim] = size
        result = result.index_select(dim, order) * signs.view(shape)
    return result


def check_shapes(child: Any, parent: Any) -> None:
    """Raise InputError where two models do not have the same weights by name and shape.

    Example
    -------
    >>> check_shapes(lineage["mid"].load().model, lineage["base"].load().model)
    """
    ours = {name: tuple(weight.shape) for name, weight in child.named_parameters()}
    theirs = {name: tuple(weight.shape) for name, weight in parent.named_parameters()}
    for name in [*theirs, *ours]:
        if ours.get(name) != theirs.get(name):
            shapes = [f"is {list(of[name])}" if name in of else "does not exist" for of in (ours, theirs)]
            raise InputError(
                f"two stages of different shapes: {name} {shapes[0]} in one and {shapes[1]} in the other: "
                "expected stages of one architecture, such as two of one lineage"
            )


@contextmanager
def _replaced(model: Any, new: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, some weights of a model are others."""
    weights = dict(model.named_parameters())
    before = {name: weights[name].data for name in new}
    try:
        for name, value in new.items():
            weights[name].data = value.to(before[name])
        yield
    finally:
        for name, value in before.items():
            weights[name].data = value


def _untie_like(model: Any, other: Any) -> None:
    """Give the head weights of its own, if they are those of the embeddings and the other model's are not."""
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if head.weight is embeddings.weight and (
        other.get_output_embeddings().weight is not other.get_input_embeddings().weight
    ):
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)


def _places(model: Any) -> dict[str, Unit]:
    """The name of each weight -> its unit. What embeddings and head share belongs to the embeddings."""
    units: dict[int, Unit] = {}
    for layer, block in enumerate(find_architecture(model).blocks):
        if not block.of_attention:
            raise InputError(
                f"{type(model).__name__}: the attention of block {layer} was not found, so its weights "
                "cannot be grafted apart from those of its MLP"
            )
        for path, module in block.module.named_modules():
            attention = any(path == one or path.startswith(f"{one}.") for one in block.of_attention if one)
            for weight in module.parameters(recurse=False):
                units[id(weight)] = Unit(layer, "attention" if attention else "MLP")
    first = {id(weight) for weight in model.get_input_embeddings().parameters()}
    found = {}
    for name, weight in model.named_parameters():
        below = id(weight) in first or "embed" in name or "wpe" in name
        found[name] = units.get(id(weight), Unit(None, "embeddings" if below else "head"))
    return found
