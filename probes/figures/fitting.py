"""How things are made to fit: panels side by side, values inside an axis, labels beside each other."""

from __future__ import annotations

from collections.abc import Iterable

from probes.figures.presets import Preset
from probes.figures.rows import Row
from probes.figures.style import CHANCE


def columns_that_fit(preset: Preset, count: int, narrowest: float, edges: float, gap: float) -> int:
    """Count the panels of at least `narrowest` ems that fit side by side, `gap` ems apart.

    `edges` is the width of both margins together, in ems; the answer is at least 1 and at most `count`.

    Examples
    --------
    >>> from probes.figures.presets import PRESETS
    >>> [columns_that_fit(PRESETS[name], 6, narrowest=12, edges=6, gap=1) for name in ("icml", "neurips")]
    [1, 3]
    """
    room = preset.width_px / preset.em - edges
    return max(1, min(count, int((room + gap) // (narrowest + gap))))


def limits(measure: str, rows: Iterable[Row]) -> tuple[float, float]:
    """Find the ends of an axis that holds every estimate and interval, and chance, with a little air.

    Examples
    --------
    >>> limits("auroc", [{"estimate": 0.8, "ci_low": 0.7, "ci_high": 0.9}])
    (0.475, 1.025)
    """
    values = [row[end] for row in rows for end in ("estimate", "ci_low", "ci_high") if row[end] is not None]
    if measure in CHANCE:
        values.append(CHANCE[measure])
    if measure in ("auroc", "accuracy"):
        values.append(1.0)
    low, high = min(values), max(values)
    air = 0.05 * (high - low or 1.0)
    return low - air, high + air


def spread(positions: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move label positions as little as possible, so that they are at least `gap` apart within [low, high].

    Examples
    --------
    >>> spread([0.5, 0.52, 0.9], gap=0.1, low=0.0, high=1.0)
    [0.46, 0.56, 0.9]
    """
    blocks: list[list[int]] = []
    centers: list[float] = []
    for i in sorted(range(len(positions)), key=lambda i: positions[i]):
        blocks.append([i])
        centers.append(positions[i])
        while len(blocks) > 1 and centers[-1] - centers[-2] < gap * (len(blocks[-1]) + len(blocks[-2])) / 2:
            blocks[-2:] = [blocks[-2] + blocks[-1]]
            reach = gap * (len(blocks[-1]) - 1) / 2
            mean = sum(positions[j] for j in blocks[-1]) / len(blocks[-1])
            centers[-2:] = [min(max(mean, low + reach), high - reach)]
    placed = [0.0] * len(positions)
    for block, center in zip(blocks, centers, strict=True):
        for place, i in enumerate(block):
            placed[i] = center + gap * (place - (len(block) - 1) / 2)
    return placed
