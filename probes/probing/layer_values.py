"""The activations of one layer, found by layer or by site, with checks that they can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from probes.errors import InputError
from probes.models.sites import Site

if TYPE_CHECKING:
    from probes.activations import Activations


def site_of(acts: Activations, layer: int) -> Site:
    """The site that a layer's activations were read at; input embeddings have no layer in their site.

    Example
    -------
    >>> str(site_of(probes.extract(stage, concept), 2))
    'resid_post.2'
    """
    return Site("embed") if acts.site == "embed" else Site(acts.site, layer)  # pyright: ignore


def values_of(acts: Activations, layer: int) -> Float32[np.ndarray, "example width"]:
    """The activations `[example, width]` of one layer.

    Raises
    ------
    InputError
        When the layer was not extracted.

    Example
    -------
    >>> values_of(probes.extract(stage, concept), 2).shape
    (48, 32)
    """
    if layer not in acts.layers:
        raise InputError(f"layer {layer} was not extracted: expected one of {list(acts.layers)}")
    return acts.values[list(acts.layers).index(layer)]


def values_at(acts: Activations, site: Site, width: int) -> Float32[np.ndarray, "example {width}"]:
    """The activations `[example, width]` at the site where a probe or a direction was fitted.

    Raises
    ------
    InputError
        When the activations come from another kind of site, lack the layer, or have another width.

    Example
    -------
    >>> values_at(probes.extract(stage, concept), Site("resid_post", 2), width=32).shape
    (48, 32)
    """
    if site.kind != acts.site:
        raise InputError(f"the probe was fitted at {site}, the activations are from {acts.site}")
    values = values_of(acts, 0 if site.layer is None else site.layer)
    if values.shape[-1] != width:
        raise InputError(f"the probe has width {width}, the activations {values.shape[-1]}")
    return values


def check_finite(values: Float32[np.ndarray, "example width"], acts: Activations, layer: int) -> None:
    """Refuse activations of a layer that hold NaN or infinity, with an InputError that says what to do."""
    if not np.isfinite(values).all():
        raise InputError(
            f"stage {acts.stage!r}, {acts.site} layer {layer}: activations hold NaN or infinity; "
            "check the checkpoint, or extract with dtype='float32'"
        )
