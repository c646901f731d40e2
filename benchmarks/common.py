"""What the benchmarks share: timing two sides in turns, and saying what was measured on what machine."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def in_turns(sides: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each side in each repeat, interleaved so that slow moments of a machine fall on all."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: dict[str, list[float]], of: str, to: str) -> dict[str, Any]:
    """Median of one side over median of another, and the ratio in each repeat."""
    each = [a / b for a, b in zip(seconds[of], seconds[to], strict=True)]
    return {
        "ratio": statistics.median(seconds[of]) / statistics.median(seconds[to]),
        "ratio_per_repeat": each,
    }


def machine(libraries: Sequence[str]) -> dict[str, Any]:
    """Threads, processor and versions that the times depend on."""
    return {
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "versions": {name: version(name) for name in (*libraries, "spec-probes")},
    }


def save(result: dict[str, Any], path: Path) -> None:
    """Write a result as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {path}")
