"""The last token of every text at all layers, as each library reads it; the yardstick is the bare forward.

    python benchmarks/peers/extracting.py LIBRARY FOLDER OUT [--repeats 3]

All get the same texts in the same batches, those at which the bare forward is fastest, and longest first:
who gives a library texts as they come pays for padding on top.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import padded
from task import Task, measured


def yardstick(task: Task) -> Callable[[], None]:
    decoder, rows = task.model().get_decoder(), task.given["rows"]

    def run() -> None:
        with torch.inference_mode():
            for batch in task.given["batches"]:
                decoder(**padded([rows[i] for i in batch]), use_cache=False)

    return run


def batch_by_batch(task: Task, read: Callable[[list[int]], torch.Tensor]) -> Callable[[], np.ndarray]:
    """`read` gives `[layer, row, width]` of the texts with those numbers."""

    def run() -> np.ndarray:
        values = np.empty_like(task.arrays["values"])
        for batch in task.given["batches"]:
            values[:, batch] = read(batch).numpy()
        return values

    return run


def ours(task: Task) -> Callable[[], np.ndarray]:
    import polars as pl

    import probes

    stage, texts = task.stage(), task.given["texts"]
    frame = pl.DataFrame({"text": texts, "label": [i % 2 for i in range(len(texts))]})
    concept = probes.Concept.from_frame(frame, name="passages")

    def run() -> np.ndarray:
        acts = probes.extract(stage, concept, controls=(), progress=False)
        assert isinstance(acts, probes.Activations)
        return acts.values

    return run


def transformers(task: Task) -> Callable[[], np.ndarray]:
    """`output_hidden_states`, of the decoder without its head. Its last entry is after the final norm."""
    decoder, rows = task.model().get_decoder(), task.given["rows"]

    def read(batch: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            output = decoder(
                **padded([rows[i] for i in batch], "left"), use_cache=False, output_hidden_states=True
            )
        return torch.stack([states[:, -1] for states in output.hidden_states[1:]])

    return batch_by_batch(task, read)


def transformer_lens(task: Task) -> Callable[[], np.ndarray]:
    from probes.lineage.native import bridge

    model, rows = bridge(task.model(), task.tokenizer()), task.given["rows"]
    names = [f"blocks.{k}.hook_resid_post" for k in range(model.cfg.n_layers)]

    def read(batch: list[int]) -> torch.Tensor:
        inputs = padded([rows[i] for i in batch], "left")
        with torch.inference_mode():
            _, cache = model.run_with_cache(
                inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                return_type=None,
                names_filter=names,
                pos_slice=slice(-1, None),
            )
        return torch.stack([cache[name][:, -1] for name in names])

    return batch_by_batch(task, read)


def nnsight(task: Task) -> Callable[[], np.ndarray]:
    from nnsight import TransformersModel

    model, rows = TransformersModel(task.model(), tokenizer=task.tokenizer()), task.given["rows"]

    def read(batch: list[int]) -> torch.Tensor:
        inputs, kept = padded([rows[i] for i in batch], "left"), []
        with torch.inference_mode(), model.trace(**inputs) as tracer:
            for layer in model.model.layers:
                kept.append(layer.output[:, -1].save())
            tracer.stop()
        return torch.stack(kept)

    return batch_by_batch(task, read)


def nnterp(task: Task) -> Callable[[], np.ndarray]:
    from nnterp import StandardizedTransformer  # pyright: ignore[reportMissingImports]
    from nnterp.nnsight_utils import get_token_activations  # pyright: ignore[reportMissingImports]

    model = StandardizedTransformer(task.weights, dtype=torch.float32, device_map="cpu", dispatch=True)
    model.tokenizer.padding_side = "left"
    texts = task.given["texts"]
    return batch_by_batch(task, lambda batch: get_token_activations(model, [texts[i] for i in batch]))


def steering_vectors(task: Task) -> Callable[[], np.ndarray]:
    """`extract_activations` takes pairs: here neighbours in length, as many as an average batch has."""
    from steering_vectors.train_steering_vector import (  # pyright: ignore[reportMissingImports]
        extract_activations,
    )

    model, tokenizer, texts = task.model(), task.tokenizer("right"), task.given["texts"]
    order = [i for batch in task.given["batches"] for i in batch]
    order = order[: len(order) // 2 * 2]
    size = max(1, len(order) // 2 // len(task.given["batches"]))
    pairs = [(texts[a], texts[b]) for a, b in zip(order[0::2], order[1::2], strict=True)]

    def run() -> np.ndarray:
        values = np.full_like(task.arrays["values"], np.nan)
        sides = extract_activations(model, tokenizer, pairs, batch_size=size)
        for side, start in zip(sides, (0, 1), strict=True):
            for layer, parts in side.items():
                values[layer, order[start::2]] = torch.cat(parts).numpy()
        return values

    return run


def compare(task: Task, values: np.ndarray) -> dict[str, Any]:
    """Largest difference from the expected values, relative to the largest value of a layer; the last layer
    apart, as `output_hidden_states` has it after the final norm."""
    expected = task.arrays["values"]
    apart = np.nanmax(np.abs(values - expected), (1, 2)) / np.abs(expected).max((1, 2))
    return {"difference": float(apart[:-1].max()), "difference_last_layer": float(apart[-1])}


if __name__ == "__main__":
    sides = (ours, transformers, transformer_lens, nnsight, nnterp, steering_vectors)
    packages = {"ours": "spec-probes", "transformer_lens": "transformer-lens"}
    packages["steering_vectors"] = "steering-vectors"
    libraries = {side.__name__: side for side in sides}
    measured(libraries, yardstick, compare, {name: packages.get(name, name) for name in libraries})
