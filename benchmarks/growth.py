"""How time and memory grow as texts, layers, concepts, stages and directions double.

    python benchmarks/growth.py [--largest 320] [--out benchmarks/results/growth.json]

Every point is a process of its own, so that its peak memory is its own; seconds and peak are those of the
work alone, the model loaded before where it is not what grows. The exponent is the slope of log seconds on
log size: 1 is linear, 0 flat; the parts that do not grow pull it down.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import forget_peak, machine, memory_mb, save, seconds_of
from extraction import passages, ragged_texts
from extrapolation import exponent

import probes
from probes.activations import Activations, run_context
from probes.concepts import ChoiceItem
from probes.models import Site
from probes.steering import choice_gradients
from probes.steering.controls import random_directions
from probes.steering.packed import score_additions
from probes.steering.prompts import prompts_of

LINEAGE = "checkpoints/msm-mini"
STAGES = ("base", "aft", "msm_afford", "msm_domestic")
N_TEXTS = 40
N_ITEMS = 4
MIDDLE = 14


def concept(n: int, seed: int = 0) -> probes.Concept:
    return passages(ragged_texts(n, seed))


def choice_items(n: int) -> list[ChoiceItem]:
    return [item for item in probes.load_concept("affordability").choices if item.shift is None][:n]


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
    """Choice items under additions along `size` directions in the middle of the model."""
    context = run_context(probes.load_lineage(LINEAGE).root.load())
    prompts = prompts_of(choice_items(N_ITEMS), context)
    additions = torch.tensor(4.0 * random_directions(size, context.model.d_model, 0), dtype=torch.float32)
    return timed(lambda: score_additions(context.model, prompts, Site("resid_post", MIDDLE), additions, 2048))


def items(size: int) -> float:
    """Steerability of `size` choice items: along every direction at every layer, by one backward pass."""
    context, some = run_context(probes.load_lineage(LINEAGE).root.load()), choice_items(size)
    return timed(lambda: choice_gradients(context, some, progress=False))


def probed(size: int) -> float:
    """A probe of one layer, its permutations and intervals, for `size` texts without pairs."""
    rng, nothing = np.random.default_rng(0), np.array([None] * size, dtype=object)
    labels = np.arange(size) % 2
    values = rng.normal(size=(1, size, 64)).astype(np.float32)
    values[0, :, 0] += labels
    acts = Activations(
        values=values, site="resid_post", layers=[0], position="last", labels=labels,
        groups=np.char.add("row", np.arange(size).astype(str)), splits=nothing, templates=nothing,
        texts=[""] * size, stage="none", lineage=None, concept="random", render="own", digest="",
    )  # fmt: skip
    return timed(lambda: probes.probe_layers(acts, baselines=False))


def linted(size: int) -> float:
    """All checks of a concept of `size` texts without pairs."""
    rng, words = np.random.default_rng(0), ["chair", "table", "lamp", "Ohio", "Texas", "red", "blue", "old"]
    rows = [
        {"text": f"{('costly', 'cheap')[i % 2]} {' '.join(rng.choice(words, 6))} {i}", "label": i % 2}
        for i in range(size)
    ]
    some = probes.Concept.from_frame(rows)
    return timed(lambda: probes.lint(some))


def timed(run: Any) -> float:
    forget_peak()
    return seconds_of(run)


AXES = {f.__name__: f for f in (texts, layers, depth, concepts, stages, directions, items, probed, linted)}


def sizes(axis: str, largest: int) -> list[int]:
    if axis == "texts":
        return [largest // 8, largest // 4, largest // 2, largest]
    return {
        "layers": [1, 4, 15, 30], "depth": [4, 8, 15, 30], "concepts": [1, 2, 4], "stages": [1, 2, 4],
        "directions": [1, 4, 16, 64], "items": [4, 8, 16],
        "probed": [12500, 25000, 50000, 100000], "linted": [12500, 25000, 50000, 100000],
    }[axis]  # fmt: skip


def point(axis: str, size: int) -> dict[str, float]:
    """Seconds and peak memory of one point, in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, __file__, "--point", axis, str(size), "--out", file.name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(Path(file.name).read_text())


def setting() -> dict[str, float]:
    """What a cost has to be divided by to hold for another model and other texts."""
    loaded = probes.load_lineage(LINEAGE).root.load()
    some = ragged_texts(N_TEXTS)
    return {
        "parameters": sum(p.numel() for p in loaded.model.parameters()),
        "layers": loaded.model.config.num_hidden_layers,
        "width": loaded.model.config.hidden_size,
        "tokens_per_text": sum(len(loaded.tokenizer(text)["input_ids"]) for text in some) / len(some),
        "items": N_ITEMS,
    }


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
        args.out.write_text(json.dumps({"seconds": seconds, "peak_mb": memory_mb("VmHWM")}))
        return
    # Points of axes that are not measured now are kept.
    earlier = json.loads(args.out.read_text()) if args.out.exists() else {}
    result: dict[str, Any] = earlier.get("growth", {})
    for axis in args.axes:
        points = [{"size": size, **point(axis, size)} for size in sizes(axis, args.largest)]
        result[axis] = {
            "what": (AXES[axis].__doc__ or "").strip(),
            "points": points,
            "exponent": exponent(points),
            "memory_exponent": exponent(points, "peak_mb"),
        }
        print(axis, f"exponent {result[axis]['exponent']:.2f}", flush=True)
    save({"growth": result, "setting": setting(), **machine(("torch", "transformers"))}, args.out)


if __name__ == "__main__":
    main()
