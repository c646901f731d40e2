"""Activations with planted answers, and directions, which several tests of probing use."""

from __future__ import annotations

import numpy as np

from probes.activations import Activations
from probes.models.sites import Site
from probes.probing import Direction

WORDS = [f"w{i}" for i in range(60)]


def simulate(n_pairs=100, width=16, strengths=(0.0, 1.0, 2.0), seed=0, huge=0, cue=False, controls=False):
    """A concept planted along one known direction a layer, `strengths` standard deviations apart.

    `huge` dimensions get a standard deviation of 100; `cue` puts a word in the text that tells the label.
    """
    rng = np.random.default_rng(seed)
    labels, n = np.tile([0, 1], n_pairs), 2 * n_pairs
    planted = rng.normal(size=(len(strengths), width))
    planted[:, :huge] = 0
    planted /= np.linalg.norm(planted, axis=1, keepdims=True)
    noise = rng.normal(size=(len(strengths), n, width))
    noise[..., :huge] *= 100
    values = noise + np.array(strengths)[:, None, None] * (labels - 0.5)[None, :, None] * planted[:, None]
    counts = [n_pairs // 2, n_pairs // 4, n_pairs - n_pairs // 2 - n_pairs // 4]
    part = np.repeat(np.array(["train", "select", "test"], dtype=object), counts)
    texts = [
        " ".join(rng.choice(WORDS, size=12)) + (f" {'cheap' if y else 'dear'}" if cue else "") for y in labels
    ]
    extra = {
        "embedding": rng.normal(size=(n, width)).astype(np.float32),
        "random_init": rng.normal(size=values.shape).astype(np.float32),
    }
    return planted, Activations(
        site="resid_post",
        position="last",
        stage="msm",
        lineage="toy",
        concept="affordability",
        render="shared",
        digest="abc",
        values=values.astype(np.float32),
        labels=labels,
        groups=np.repeat([f"p{i:03d}" for i in range(n_pairs)], 2),
        splits=np.repeat(part, 2),
        templates=np.array([None] * n, dtype=object),
        texts=texts,
        layers=list(range(len(strengths))),
        controls=extra if controls else {},
    )


def cloud(n, width, seed=0, shift=1.0):
    """Correlated activations with unequal scales, far from the origin."""
    rng = np.random.default_rng(seed)
    labels = np.tile([0, 1], n // 2)
    X = rng.normal(size=(n, width)) @ rng.normal(size=(width, width)) * np.logspace(-1, 2, width) + 5
    return X + shift * labels[:, None] * rng.normal(size=width), labels


def direction(vector, estimator="mass_mean", **changes):
    """A direction along any vector."""
    vector = np.asarray(vector, dtype=float)
    facts = {"position": "last", "stage": "msm", "concept": "care", "scale": 1.5, "gap": 0.7, "digest": "d"}
    unit = vector / (np.linalg.norm(vector) or 1)
    return Direction(vector=unit, site=Site("resid_post", 4), estimator=estimator, **{**facts, **changes})
