"""Directions of one layer beside that of its probe: the difference of class means, and a shuffled control."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from probes.probing.baselines import permuted_labels
from probes.probing.direction import Direction
from probes.probing.estimators import MassMeanProbe
from probes.probing.layer_values import site_of, values_of
from probes.probing.layers import LayerSweep
from probes.probing.refitting import at_same_strength
from probes.probing.splits import split_rows

if TYPE_CHECKING:
    from probes.activations import Activations


def class_gap(acts: Activations, layer: int, seed: int = 0) -> Direction:
    """The difference of the class means on the training pairs at one layer: the direction to push or ablate.

    The weights of a fitted probe read a concept best when they avoid whatever else varies. The model itself
    moves along the difference of means, so that pushes along it do more (Marks & Tegmark 2023, arXiv
    2310.06824).

    Parameters
    ----------
    acts : Activations
        As given to `probe_layers`.
    layer : int
        The layer.
    seed : int
        As given to `probe_layers`.

    Raises
    ------
    InputError
        For a layer that was not extracted.

    Example
    -------
    >>> probes.probing.class_gap(probes.extract(stage, concept), layer=2).estimator
    'mass_mean'
    """
    values, train = values_of(acts, layer), split_rows(acts, seed).train
    labels = np.asarray(acts.labels)[train].astype(int)
    probe = MassMeanProbe(site=site_of(acts, layer)).fit(values[train], labels)
    return Direction.of_probe(probe, values[train], labels, acts, "mass_mean")


def shuffled_direction(sweep: LayerSweep, acts: Activations, layer: int, seed: int = 0) -> Direction:
    """The control of a layer's direction: refitted at the same strength with labels shuffled within pairs.

    Its `scale` and `gap` are those of the true classes along it.

    Parameters
    ----------
    sweep : LayerSweep
        From `probe_layers`; the control of `sweep.directions[layer]` is returned.
    acts : Activations
        As given to `probe_layers`.
    layer : int
        The layer.
    seed : int
        As given to `probe_layers`; it shuffles the labels too.

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> sweep = probes.probe_layers(acts, baselines=False)
    >>> control = probes.probing.shuffled_direction(sweep, acts, layer=2)
    >>> abs(float(control.vector @ sweep.directions[2].vector)) < 0.99
    True
    """
    train = split_rows(acts, seed).train
    labels = np.asarray(acts.labels).astype(int)[train]
    shuffled = permuted_labels(labels, np.asarray(acts.groups)[train], np.random.default_rng(seed))
    probe = at_same_strength(sweep.probes[layer]).fit(values_of(acts, layer)[train], shuffled)
    return replace(sweep.directions[layer], vector=probe.direction_).at(acts, seed)
