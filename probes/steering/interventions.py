"""Interventions: changes to the activations at one site while a model runs.

`Add` adds a direction, which asks whether the direction is sufficient for a behaviour. `Ablate` and `Erase`
take a direction or a concept away, which asks whether it is necessary. `Clamp` sets a projection to a value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from probes.errors import InputError, SiteError
from probes.models.protocol import HookedModel, PositionMask
from probes.models.sites import Site, SiteKind, expand
from probes.probing import Direction
from probes.probing.erasure import Erasure

Positions = Literal["all", "last"] | PositionMask
"""Which tokens are changed: all of them, the last one, or those a function of the attention mask picks."""

Vector = Tensor | np.ndarray | Sequence[float]

AnyIntervention = TypeVar("AnyIntervention", "Add", "Ablate", "Erase", "Clamp")


@dataclass(eq=False)
class Add:
    """Add a multiple of a vector: `h + alpha * scale * vector`.

    This is activation addition (Turner et al. 2023, arXiv 2308.10248; Rimsky et al. 2023, arXiv 2312.06681).
    A tensor that requires gradients is differentiated through.

    Parameters
    ----------
    site : where in the model it acts.
    vector : `[width]`, as wide as the activations at the site.
    alpha : the dose, one number, or a tensor `[batch]` with one dose for each row of the batch.
    scale : the length of a dose of 1. With a unit vector and the `scale` of a fitted `Direction`, the dose is
        in natural units.
    positions : "all" tokens, the "last" one, or a function from the attention mask `[batch, seq]` to a bool
        `[batch, seq]`, such as `after_first`.

    Raises
    ------
    InputError : the vector, the dose or the scale is not finite.
    SiteError : the vector and the activations differ in width; raised at the forward pass.

    Example
    -------
    >>> addition = Add(Site("resid_post", 1), [1.0, 0.0], alpha=2.0, scale=1.5)
    >>> addition.apply(torch.ones(1, 2, 2)).tolist()
    [[[4.0, 1.0], [4.0, 1.0]]]
    """

    site: Site
    vector: Vector
    alpha: float | Tensor = 1.0
    scale: float = 1.0
    positions: Positions = "all"

    def __post_init__(self) -> None:
        self.vector = _finite(self.vector, "vector")
        dose = torch.as_tensor(self.alpha)
        if dose.dim() > 1 or not bool(torch.isfinite(dose).all()):
            raise InputError(f"alpha={self.alpha!r}: expected a finite number or a [batch] tensor of them")
        if not math.isfinite(self.scale):
            raise InputError(f"scale={self.scale!r}: expected a finite number")

    @classmethod
    def along(cls, direction: Direction, alpha: float | Tensor, positions: Positions = "all") -> Add:
        """Add `alpha` natural units of a fitted direction, at the site where it was fitted.

        Example
        -------
        >>> acts = probes.extract(stage, concept, controls=(), progress=False)
        >>> direction = probes.probe_layers(acts).best.direction
        >>> addition = Add.along(direction, alpha=2.0)
        >>> addition.site == direction.site, addition.scale == direction.scale
        (True, True)
        """
        return cls(direction.site, direction.vector, alpha, direction.scale, positions)

    @property
    def is_shift(self) -> bool:
        """Whether the same vector, `shift`, is added at every token of every row."""
        return self.positions == "all" and not torch.as_tensor(self.alpha).dim()

    @property
    def shift(self) -> Tensor:
        """The vector that is added, `[width]`, where the dose is one number."""
        return torch.as_tensor(self.alpha) * self.scale * torch.as_tensor(self.vector)

    def apply(self, values: Tensor) -> Tensor:
        """From activations `[batch, seq, width]` to the changed ones."""
        vector = _fit(self.vector, values, self.site)
        dose = torch.as_tensor(self.alpha).to(values) * self.scale
        return values + (dose[:, None, None] if dose.dim() else dose) * vector


@dataclass(eq=False)
class Ablate:
    """Take a direction away: `h - ((h - mean) . v) v`, where `v` is the vector scaled to length 1.

    The projection of every token on the vector becomes that of `mean`, or 0 without a mean. This is
    directional ablation (Arditi et al. 2024, arXiv 2406.11717).

    Parameters
    ----------
    site : where in the model it acts.
    vector : `[width]`, of any length but 0.
    mean : `[width]`, the activation whose projection every token gets.
    positions : as in `Add`.

    Raises
    ------
    InputError : the vector is zero, or a number is not finite.
    SiteError : the vector and the activations differ in width; raised at the forward pass.

    Example
    -------
    >>> Ablate(Site("resid_post", 1), [2.0, 0.0]).apply(torch.ones(1, 1, 2)).tolist()
    [[[0.0, 1.0]]]
    >>> Ablate(Site("resid_post", 1), [2.0, 0.0], mean=[0.5, 9.0]).apply(torch.ones(1, 1, 2)).tolist()
    [[[0.5, 1.0]]]
    """

    site: Site
    vector: Vector
    mean: Vector | None = None
    positions: Positions = "all"

    def __post_init__(self) -> None:
        self.vector = _unit(self.vector)
        if self.mean is not None:
            self.mean = _finite(self.mean, "mean")

    @classmethod
    def along(cls, direction: Direction, mean: Vector | None = None, positions: Positions = "all") -> Ablate:
        """Take a fitted direction away at the site where it was fitted.

        Example
        -------
        >>> acts = probes.extract(stage, concept, controls=(), progress=False)
        >>> direction = probes.probe_layers(acts).best.direction
        >>> Ablate.along(direction).site == direction.site
        True
        """
        return cls(direction.site, direction.vector, mean, positions)

    def apply(self, values: Tensor) -> Tensor:
        """From activations `[batch, seq, width]` to the changed ones."""
        vector = _fit(self.vector, values, self.site)
        centred = values if self.mean is None else values - _fit(self.mean, values, self.site)
        return values - (centred @ vector).unsqueeze(-1) * vector


@dataclass(eq=False)
class Erase:
    """Erase a concept with LEACE: `h - write read (h - mean)`.

    Afterwards no linear probe does better than always naming the more frequent class (Belrose et al. 2023,
    arXiv 2306.03819).

    Parameters
    ----------
    site : where in the model it acts.
    erasure : the `erasure_` of a `probes.Eraser` that was fitted on activations at this site.
    positions : as in `Add`.

    Raises
    ------
    SiteError : it was fitted on activations of another width; raised at the forward pass.

    Example
    -------
    >>> rng, labels = np.random.default_rng(0), np.repeat([0, 1], 60)
    >>> values = rng.standard_normal((120, 8)) + labels[:, None]
    >>> erasure = probes.Eraser().fit(values, labels).erasure_
    >>> erased = Erase(Site("resid_post", 1), erasure).apply(torch.tensor(values)[None])[0]
    >>> gap = erased[labels == 1].mean(0) - erased[labels == 0].mean(0)
    >>> bool(gap.abs().max() < 1e-6)
    True
    """

    site: Site
    erasure: Erasure
    positions: Positions = "all"

    def apply(self, values: Tensor) -> Tensor:
        """From activations `[batch, seq, width]` to the changed ones."""
        mean, read, write = (
            torch.as_tensor(part) for part in (self.erasure.mean, self.erasure.read, self.erasure.write)
        )
        centred = values - _fit(mean, values, self.site)
        return values - centred @ read.T.to(values) @ write.T.to(values)


@dataclass(eq=False)
class Clamp:
    """Set the projection on a vector to a value: `h + (value - h . v) v`, where `v` has length 1.

    Parameters
    ----------
    site : where in the model it acts.
    vector : `[width]`, of any length but 0.
    value : the projection in the activations' own units, one number or a tensor `[batch]`. A tensor patches
        in projections that were read on other texts.
    positions : as in `Add`.

    Raises
    ------
    InputError : the vector is zero, or a number is not finite.
    SiteError : the vector and the activations differ in width; raised at the forward pass.

    Example
    -------
    >>> Clamp(Site("resid_post", 1), [2.0, 0.0], value=3.0).apply(torch.ones(1, 1, 2)).tolist()
    [[[3.0, 1.0]]]
    """

    site: Site
    vector: Vector
    value: float | Tensor
    positions: Positions = "all"

    def __post_init__(self) -> None:
        self.vector = _unit(self.vector)
        value = torch.as_tensor(self.value)
        if value.dim() > 1 or not bool(torch.isfinite(value).all()):
            raise InputError(f"value={self.value!r}: expected a finite number or a [batch] tensor of them")

    def apply(self, values: Tensor) -> Tensor:
        """From activations `[batch, seq, width]` to the changed ones."""
        vector = _fit(self.vector, values, self.site)
        target = torch.as_tensor(self.value).to(values)
        target = target.unsqueeze(-1) if target.dim() else target
        return values + (target - values @ vector).unsqueeze(-1) * vector


def after_first(attention_mask: Tensor) -> Tensor:
    """Every real token but the first; give it as `positions=after_first`.

    The first token is the attention sink of most decoders, with a few huge dimensions (Sun et al. 2024,
    arXiv 2402.17762).

    Parameters
    ----------
    attention_mask : `[batch, seq]`, 1 for a real token and 0 for padding on either side.

    Returns
    -------
    Bool `[batch, seq]`.

    Example
    -------
    >>> after_first(torch.tensor([[1, 1, 1], [0, 1, 1]])).tolist()
    [[False, True, True], [False, False, True]]
    """
    return (attention_mask.cumsum(-1) > 1) & attention_mask.bool()


def everywhere(
    intervention: AnyIntervention, model: HookedModel, kinds: Sequence[SiteKind] | None = None
) -> list[AnyIntervention]:
    """The same intervention at every layer of a model.

    Parameters
    ----------
    intervention : what is repeated; only the kind of its site is used.
    model : the model, which says how many layers there are.
    kinds : the kinds of site at each layer; by default the intervention's own. With `Ablate`, the kinds
        `("resid_pre", "attn_out", "mlp_out")` make the ablation of Arditi et al. (2024, arXiv 2406.11717), in
        which nothing ever writes the direction to the residual stream.

    Returns
    -------
    The interventions in the order in which the forward pass meets their sites.

    Example
    -------
    >>> ablation = Ablate(Site("resid_post", 0), np.ones(32))
    >>> [str(one.site) for one in everywhere(ablation, probes.hooked(stage))]
    ['resid_post.0', 'resid_post.1', 'resid_post.2']
    """
    kinds = kinds or [intervention.site.kind]
    return [
        replace(intervention, site=site)
        for layer in range(model.n_layers)
        for kind in kinds
        for site in expand(kind, layer, model.n_layers)
    ]


def _finite(value: Any, name: str) -> Tensor:
    tensor = value if isinstance(value, Tensor) else torch.tensor(np.asarray(value))
    tensor = tensor if tensor.is_floating_point() else tensor.float()
    if tensor.dim() != 1 or not bool(torch.isfinite(tensor).all()):
        raise InputError(f"{name} of shape {list(tensor.shape)}: expected one row of finite numbers")
    return tensor


def _unit(value: Any) -> Tensor:
    vector = _finite(value, "vector")
    norm = vector.norm()
    if norm == 0:
        raise InputError("vector is all zeros: expected a direction")
    return vector / norm


def _fit(vector: Any, values: Tensor, site: Site) -> Tensor:
    if vector.shape[-1] != values.shape[-1]:
        raise SiteError(
            f"vector of width {vector.shape[-1]} cannot act at {site}: "
            f"the activations there are {values.shape[-1]} wide"
        )
    return vector.to(values)
