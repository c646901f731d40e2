"""Cost of extraction against the bare decoder forward over the same tokens, in one run on one machine.

    python benchmarks/extraction.py [--texts 500] [--repeats 3] [--out benchmarks/results/extraction.json]
        [--parts runs error memory blocks store] [--dtypes float32 bfloat16]

`runs`: seconds over those of the decoder without its head, over the same token ids sorted by length, at
whichever token budget of several is fastest here; last-token and mean-pooled, in fp32 and with bf16 compute
and fp32 pooling. All sides run interleaved; a ratio is that of the medians.
`error`: what bf16 adds to the values, and to the held-out AUROC of a probe on a packaged concept.
`memory`: peak less the loaded model and the result, at two sizes, each in a process of its own.
`blocks`: how many blocks run for a site at layer k.
`store`: a second concept that shares half its texts with the first, and an extraction that changes nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import torch
from common import (
    bare_forward,
    fastest_budget,
    forget_peak,
    in_turns,
    machine,
    memory_mb,
    ratio,
    save,
    seconds_of,
)
from safetensors.numpy import load_file

import probes
from probes.activations import extract_many
from probes.lineage import LoadedStage
from probes.probing import sweep_probes

POSITIONS = ("last", "mean")
DTYPES = ("float32", "bfloat16")
CONCEPT = "affordability"
STRENGTH = 0.01
"""Inverse strength of the penalty of the probes that bf16 is judged by."""


def ragged_texts(n: int, seed: int = 0) -> list[str]:
    """`n` distinct passages of 4 to 80 words from CPython's own documentation."""
    words = re.findall(r"\S+", " ".join(topics[key] for key in sorted(topics)))
    rng = np.random.default_rng(seed)
    starts = rng.choice(len(words) - 100, size=n, replace=False)
    return [" ".join(words[s : s + int(k)]) for s, k in zip(starts, rng.integers(4, 81, n), strict=True)]


@dataclass(frozen=True)
class Given:
    """What every part works on."""

    lineage: str
    texts: list[str]
    repeats: int
    dtypes: list[str]
    folder: Path
    """Where temporary files go."""

    def load(self, dtype: str = "float32") -> LoadedStage:
        return probes.load_lineage(self.lineage).root.load(dtype=dtype)


def passages(texts: list[str]) -> probes.Concept:
    """A concept that nothing is read from but time."""
    frame = pd.DataFrame({"text": texts, "label": np.arange(len(texts)) % 2})
    return probes.Concept.from_frame(frame, name="pydoc passages")


def extract(loaded: LoadedStage, concept: probes.Concept, **options: Any) -> probes.Activations:
    acts = probes.extract(loaded, concept, controls=(), progress=False, **options)
    assert isinstance(acts, probes.Activations)
    return acts


def runs(given: Given) -> list[dict[str, Any]]:
    """Extraction over the bare forward, for each dtype and position."""
    measured, texts, concept = [], given.texts, passages(given.texts)
    for dtype in given.dtypes:
        loaded = given.load(dtype)
        rows = [loaded.tokenizer(text)["input_ids"] for text in texts]
        decoder = loaded.model.get_decoder()
        budget = fastest_budget(decoder, rows)
        sides = {"bare forward": lambda d=decoder, r=rows, b=budget: bare_forward(d, r, b)}
        sides |= {p: lambda at=p, who=loaded: extract(who, concept, position=at) for p in POSITIONS}
        seconds = in_turns(sides, given.repeats)
        for position in POSITIONS:
            measured.append(
                {
                    "dtype": dtype,
                    "position": position,
                    **ratio(seconds, position, "bare forward"),
                    "seconds": seconds[position],
                    "bare_seconds": seconds["bare forward"],
                    "bare_batch_tokens": budget,
                    "texts": len(texts),
                    "tokens": sum(map(len, rows)),
                }
            )
            print(f"{dtype} {position}: {measured[-1]['ratio']:.3f} of the bare forward", flush=True)
    return measured


def error(given: Given) -> dict[str, Any]:
    """What bf16 compute with fp32 pooling adds: to the values, and to the AUROC of probes."""
    frame = probes.load_concept(CONCEPT).frame().filter(pl.col("text").is_not_null())
    frame = frame.filter(pl.len().over("pair") == 2)[: 2 * (len(given.texts) // 2)]
    plain = probes.Concept.from_frame(frame.select("pair", "label", "template", "text"), pair="pair")
    exact, rounded = (
        extract_many(given.load(dtype), plain, positions=POSITIONS, controls=(), progress=False)
        for dtype in DTYPES
    )
    measured: dict[str, Any] = {"concept": CONCEPT, "texts": len(frame)}
    for position in POSITIONS:
        acts = [found["resid_post", position] for found in (exact, rounded)]
        apart = np.abs(acts[1].values - acts[0].values)
        aurocs = [
            sweep_probes(a, [STRENGTH], n_permutations=0, control=False).aurocs[:, :, 0, 0].mean(1)
            for a in acts
        ]
        change = np.abs(aurocs[1] - aurocs[0])
        measured[position] = {
            "max": float(apart.max()),
            "max_over_largest_of_layer": float(
                (apart.max((1, 2)) / np.abs(acts[0].values).max((1, 2))).max()
            ),
            "median_relative_norm": float(
                np.median(
                    np.linalg.norm(acts[1].values - acts[0].values, axis=-1)
                    / np.linalg.norm(acts[0].values, axis=-1)
                )
            ),
            "auroc_change_max": float(change.max()),
            "auroc_change_median": float(np.median(change)),
        }
    return measured


def memory(given: Given) -> list[dict[str, float]]:
    """Peak of an extraction of all and of a quarter of the texts, each in a process of its own."""
    peaks = []
    for n in (len(given.texts) // 4, len(given.texts)):
        with tempfile.NamedTemporaryFile(suffix=".json", dir=given.folder) as file:
            command = [sys.executable, __file__, "--peak", "--texts", str(n), "--out", file.name]
            command += ["--lineage", given.lineage]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            peaks.append(json.loads(Path(file.name).read_text()))
    return peaks


def peak(given: Given) -> dict[str, float]:
    """Resident memory of this process before and at most during an extraction at all layers."""
    loaded, concept = given.load(), passages(given.texts)
    before = memory_mb("VmRSS")
    forget_peak()
    acts = extract(loaded, concept)
    highest = memory_mb("VmHWM")
    result = acts.values.nbytes / 2**20
    return {
        "texts": len(given.texts),
        "model_mb": sum(p.numel() * p.element_size() for p in loaded.model.parameters()) / 2**20,
        "result_mb": result,
        "before_mb": before,
        "peak_mb": highest,
        "more_than_model_and_result_mb": highest - before - result,
    }


@contextmanager
def tokens_run(decoder: torch.nn.Module) -> Iterator[list[int]]:
    """Inside, the list gets the tokens of every forward, padding included."""
    ran: list[int] = []

    def count(_module: Any, _args: Any, given: dict[str, Any]) -> None:
        ran.append(given["input_ids"].numel())

    handle = decoder.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield ran
    finally:
        handle.remove()


def blocks(given: Given) -> list[dict[str, int]]:
    """Blocks that run for a site at layer k, after a first read, in which it is tried what packing does."""
    loaded = given.load()
    extract(loaded, passages(given.texts[:4]))
    layers = loaded.model.get_decoder().layers
    called: set[int] = set()
    handles = [
        layer.register_forward_pre_hook(lambda *_, k=k: called.add(k)) for k, layer in enumerate(layers)
    ]
    counts = []
    for k in (0, len(layers) // 4, len(layers) // 2, len(layers) - 1):
        called.clear()
        extract(loaded, passages(given.texts[:4]), layers=k)
        counts.append({"layer": k, "blocks_run": len(called)})
    for handle in handles:
        handle.remove()
    return counts


def store(given: Given) -> dict[str, Any]:
    """Seconds and tokens of a first concept, of a second one that shares half its texts, of that half alone
    without a store, of the second again, and of reading the store's files and no more."""
    loaded = given.load()
    texts, third = given.texts, len(given.texts) // 3
    first, second, new = texts[: 2 * third], texts[third:], texts[2 * third :]
    measured: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(dir=given.folder) as folder,
        tokens_run(loaded.model.get_decoder()) as ran,
    ):
        for name, some, options in (
            ("first", first, {"store": folder}),
            ("second", second, {"store": folder}),
            ("new_texts_alone", new, {}),
            ("unchanged", second, {"store": folder}),
        ):
            ran.clear()
            concept = passages(some)
            seconds = seconds_of(lambda c=concept, o=options: extract(loaded, c, **o))
            measured[name] = {"texts": len(some), "seconds": seconds, "tokens_run": sum(ran)}
        files = list(Path(folder).rglob("*.safetensors"))
        measured["reading_files"] = {"seconds": seconds_of(lambda: [load_file(file) for file in files])}
        measured["store_mb"] = sum(file.stat().st_size for file in files) / 2**20
    return measured


PARTS = {part.__name__: part for part in (runs, error, memory, blocks, store)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES), choices=list(DTYPES))
    parser.add_argument("--lineage", default="checkpoints/msm-mini")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/extraction.json"))
    args = parser.parse_args()

    args.out.parent.mkdir(parents=True, exist_ok=True)
    given = Given(args.lineage, ragged_texts(args.texts), args.repeats, args.dtypes, args.out.parent)
    if args.peak:
        args.out.write_text(json.dumps(peak(given)))
        return
    measured = {part: PARTS[part](given) for part in args.parts}
    save(
        {
            "what": "resid_post at all layers, tokenising included",
            **measured,
            **machine(("torch", "transformers")),
        },
        args.out,
    )


if __name__ == "__main__":
    main()
