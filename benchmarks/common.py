"""What the benchmarks share: the bare forward all extraction is compared with, timing in turns, peak memory,
and saying what was measured on what machine. Torch and numpy are enough for it, so that peers' environments
can use it."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

BUDGETS = (512, 1024, 2048, 4096)
"""Padded tokens a batch, of which the bare forward takes the fastest."""


def padded(rows: Sequence[Sequence[int]], side: Literal["left", "right"] = "right") -> dict[str, Tensor]:
    """Arguments of a decoder for ragged rows of token ids."""
    width = max(map(len, rows))
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        where = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[i, where] = torch.tensor(row)
        mask[i, where] = 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": positions}


def batches(rows: Sequence[Sequence[int]], budget: int) -> list[list[int]]:
    """Numbers of the rows, longest first, `budget` padded tokens a batch."""
    filled: list[list[int]] = []
    for i in sorted(range(len(rows)), key=lambda i: -len(rows[i])):
        if not filled or (len(filled[-1]) + 1) * len(rows[filled[-1][0]]) > budget:
            filled.append([])
        filled[-1].append(i)
    return filled


def bare_forward(model: torch.nn.Module, rows: Sequence[Sequence[int]], budget: int) -> None:
    """`model`, a decoder with or without its head, over `rows` in `batches`; nothing is kept."""
    device = next(model.parameters()).device
    with torch.inference_mode():
        for batch in batches(rows, budget):
            inputs = padded([rows[i] for i in batch])
            model(**{name: part.to(device) for name, part in inputs.items()}, use_cache=False)
    if device.type == "cuda":
        torch.cuda.synchronize()


def fastest_budget(model: torch.nn.Module, rows: Sequence[Sequence[int]]) -> int:
    """The one of `BUDGETS` at which the bare forward is fastest on an eighth of the rows; warms up too."""
    few = rows[:: min(8, max(1, len(rows) // 12))]
    bare_forward(model, few, BUDGETS[0])
    return min(BUDGETS, key=lambda budget: seconds_of(lambda: bare_forward(model, few, budget)))


def option_scores(model: Any, rows: Sequence[tuple[Sequence[int], int]], budget: int) -> list[float]:
    """Summed log probability of the tokens of each row from its start on, right-padded, longest first."""
    scores = [0.0] * len(rows)
    with torch.inference_mode():
        for batch in batches([ids for ids, _ in rows], budget):
            inputs = padded([rows[i][0] for i in batch])
            logits = model(**inputs, use_cache=False).logits
            for k, i in enumerate(batch):
                ids, start = rows[i]
                logprobs = logits[k, start - 1 : len(ids) - 1].log_softmax(-1)
                scores[i] = float(logprobs.gather(-1, torch.tensor(ids[start:])[:, None]).sum())
    return scores


def choice_logits(scores: Sequence[float]) -> np.ndarray:
    """`[item, order]`: first option less second, from `option_scores` of both orders of every item."""
    by_item = np.array(scores).reshape(-1, 2, 2)
    return by_item[..., 0] - by_item[..., 1]


def seconds_of(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turns(sides: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each side in each repeat, interleaved so that slow moments of a machine fall on all."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, run in sides.items():
            seconds[name].append(seconds_of(run))
    return seconds


def ratio(seconds: dict[str, list[float]], of: str, to: str) -> dict[str, Any]:
    """Median of one side over median of another, and the ratio in each repeat."""
    each = [a / b for a, b in zip(seconds[of], seconds[to], strict=True)]
    return {
        "ratio": statistics.median(seconds[of]) / statistics.median(seconds[to]),
        "ratio_per_repeat": each,
    }


def memory_mb(field: Literal["VmRSS", "VmHWM"]) -> float:
    """This process's resident memory now, or its peak since `forget_peak`, as Linux tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def forget_peak() -> None:
    """Count the peak from here on: loading a model takes more than what is measured after it."""
    Path("/proc/self/clear_refs").write_text("5")


def machine(libraries: Sequence[str]) -> dict[str, Any]:
    """Threads, processor and versions that the times depend on."""
    return {
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "versions": {
            name: number for name in (*libraries, "spec-probes") if (number := _version(name)) is not None
        },
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def save(result: dict[str, Any], path: Path) -> None:
    """Write a result as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {path}")
