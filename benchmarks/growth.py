"""How time and memory grow as texts, layers, concepts, stages and directions double.

    python benchmarks/growth.py [--largest 320] [--out benchmarks/results/growth.json]

Every point is a process of its own, so that its peak memory is its own; seconds are those of the work alone,
model loading apart where it is not what grows. The exponent is the slope of log seconds on log size: 1 is
linear, 0 flat; the parts that do not grow pull it down.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from common import machine, save
from extraction import ragged_texts

import probes
from probes.models import Site
from probes.steering.packed import score_pushes
from probes.steering.slopes import random_directions
from probes.steering.subjects import subject

LINEAGE = "checkpoints/msm-mini"
STAGES = ("base", "aft", "msm_afford", "msm_domestic")
N_TEXTS = 40
MIDDLE = 14


def concept(n: int, seed: int = 0) -> probes.Concept:
    """`n` ragged texts that nothing is read from but time."""
    frame = pd.DataFrame({"text": ragged_texts(n, seed), "label": np.arange(n) % 2})
    return probes.Concept.from_frame(frame, name=f"passages-{seed}")


def texts(size: int) -> float:
    """Extraction at all layers of `size` texts."""
    loaded, some = probes.load_lineage(LINEAGE).root.load(), concept(size)
    return timed(lambda: probes.extract(loaded, some, controls=(), progress=False))


def layers(size: int) -> float:
    """Extraction of `size` layers, the last ones, of the same texts."""
    loaded, some = probes.load_lineage(LINEAGE).root.load(), concept(N_TEXTS)
    last = loaded.model.config.num_hidden_layers
    wanted = list(range(last - size, last))
    return timed(lambda: probes.extract(loaded, some, layers=wanted, controls=(), progress=False))


def depth(size: int) -> float:
    """Extraction at one layer, the `size`-th: no block after it is run."""
    loaded, some = probes.load_lineage(LINEAGE).root.load(), concept(N_TEXTS)
    return timed(lambda: probes.extract(loaded, some, layers=[size - 1], controls=(), progress=False))


def concepts(size: int) -> float:
    """Extraction of `size` concepts of one size at one stage."""
    loaded, some = probes.load_lineage(LINEAGE).root.load(), [concept(N_TEXTS, s) for s in range(size)]
    return timed(lambda: [probes.extract(loaded, c, controls=(), progress=False) for c in some])


def stages(size: int) -> float:
    """The same texts at `size` stages, loading them included."""
    lineage, some = probes.load_lineage(LINEAGE), concept(N_TEXTS)
    return timed(
        lambda: [probes.extract(lineage[s], some, controls=(), progress=False) for s in STAGES[:size]]
    )


def directions(size: int) -> float:
    """Choice items under pushes along `size` directions in the middle of the model."""
    who = subject(probes.load_lineage(LINEAGE).root.load())
    items = [item for item in probes.load_concept("affordability").choices if item.shift is None]
    prompts = who.prompts(items[:4])
    pushes = torch.tensor(4.0 * random_directions(size, who.model.d_model, 0), dtype=torch.float32)
    return timed(lambda: score_pushes(who.model, prompts, Site("resid_post", MIDDLE), pushes, 2048))


def timed(run: Any) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


AXES = {f.__name__: f for f in (texts, layers, depth, concepts, stages, directions)}


def sizes(axis: str, largest: int) -> list[int]:
    if axis == "texts":
        return [largest // 8, largest // 4, largest // 2, largest]
    return {
        "layers": [1, 4, 15, 30], "depth": [4, 8, 15, 30], "concepts": [1, 2, 4], "stages": [1, 2, 4],
        "directions": [1, 4, 16, 64],
    }[axis]  # fmt: skip


def point(axis: str, size: int) -> dict[str, float]:
    """Seconds and peak memory of one point, in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as told:
        command = [sys.executable, __file__, "--point", axis, str(size), "--out", told.name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(Path(told.name).read_text())


def exponent(points: list[dict[str, float]]) -> float:
    logs = np.log([[p["size"], p["seconds"]] for p in points])
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--largest", type=int, default=320, help="texts at the largest point")
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=list(AXES))
    parser.add_argument("--point", nargs=2, metavar=("AXIS", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/growth.json"))
    args = parser.parse_args()
    if args.point:
        seconds = AXES[args.point[0]](int(args.point[1]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        args.out.write_text(json.dumps({"seconds": seconds, "peak_mb": peak}))
        return
    result: dict[str, Any] = {}
    for axis in args.axes:
        points = [{"size": size, **point(axis, size)} for size in sizes(axis, args.largest)]
        result[axis] = {
            "what": (AXES[axis].__doc__ or "").strip(),
            "points": points,
            "exponent": exponent(points),
        }
        print(axis, f"exponent {result[axis]['exponent']:.2f}", flush=True)
    save({"growth": result, **machine(("torch", "transformers"))}, args.out)


if __name__ == "__main__":
    main()
