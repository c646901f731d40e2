"""Cost of extraction against the bare decoder forward over the same tokens, in one run on one machine.

    python benchmarks/extraction.py [--texts 500] [--repeats 3] [--out benchmarks/results/extraction.json]

The reference is the decoder without its head, over the same token ids sorted by length, at whichever token
budget of several is fastest here. Both sides run interleaved; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pandas as pd
import torch
from common import in_turns, machine, ratio, save

import probes
from probes.models import TokenBatch

BUDGETS = (512, 1024, 2048, 4096)


def ragged_texts(n: int, seed: int = 0) -> list[str]:
    """`n` distinct passages of 4 to 80 words from CPython's own documentation."""
    words = re.findall(r"\S+", " ".join(topics[key] for key in sorted(topics)))
    rng = np.random.default_rng(seed)
    starts = rng.choice(len(words) - 100, size=n, replace=False)
    return [" ".join(words[s : s + int(k)]) for s, k in zip(starts, rng.integers(4, 81, n), strict=True)]


def bare_forward(decoder: torch.nn.Module, rows: list[list[int]], budget: int) -> float:
    """Seconds for the decoder over `rows`, longest first, `budget` padded tokens a batch."""
    batches, batch = [], []
    for row in sorted(rows, key=len, reverse=True):
        if batch and (len(batch) + 1) * len(batch[0]) > budget:
            batches.append(batch)
            batch = []
        batch.append(row)
    batches.append(batch)
    device = next(decoder.parameters()).device
    start = time.perf_counter()
    with torch.inference_mode():
        for batch in batches:
            tokens = TokenBatch.pad(batch)
            decoder(
                input_ids=tokens.input_ids.to(device),
                attention_mask=tokens.attention_mask.to(device),
                position_ids=tokens.position_ids.to(device),
                use_cache=False,
            )
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lineage", default="checkpoints/msm-mini")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/extraction.json"))
    args = parser.parse_args()

    loaded = probes.load_lineage(args.lineage).root.load()
    texts = ragged_texts(args.texts)
    frame = pd.DataFrame({"text": texts, "label": np.arange(len(texts)) % 2})
    concept = probes.Concept.from_frame(frame, name="pydoc passages")
    rows = [loaded.tokenizer(text)["input_ids"] for text in texts]
    decoder = loaded.model.get_decoder()

    few = rows[:: max(1, len(rows) // 60)]
    bare_forward(decoder, few, BUDGETS[0])  # warm up
    pilot = {budget: bare_forward(decoder, few, budget) for budget in BUDGETS}
    budget = min(pilot, key=lambda b: pilot[b])

    def extract() -> None:
        acts = probes.extract(loaded, concept, controls=(), progress=False)
        assert isinstance(acts, probes.Activations)
        assert acts.values.shape[:2] == (loaded.model.config.num_hidden_layers, len(texts))

    sides = {"bare forward": lambda: bare_forward(decoder, rows, budget), "extract": extract}
    seconds = in_turns(sides, args.repeats)
    told = ratio(seconds, "extract", "bare forward")
    save(
        {
            "what": "last-token resid_post at all layers, tokenising included, over the bare decoder forward",
            **told,
            "texts": len(texts),
            "tokens": sum(map(len, rows)),
            "bare_batch_tokens": budget,
            "seconds": seconds,
            "dtype": str(loaded.model.dtype),
            **machine(("torch", "transformers")),
        },
        args.out,
    )
    print(f"extraction / bare forward = {told['ratio']:.3f} ({len(texts)} texts)")


if __name__ == "__main__":
    main()
