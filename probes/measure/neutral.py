"""The activations of neutral texts, on which two stages are aligned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from probes.activations import RunContext
from probes.lineage import text_ids
from probes.models import Site, TokenBatch
from probes.models.batching import batches_by_length
from probes.steering.interventions import after_first


def neutral_states(
    context: RunContext, sites: Sequence[Site], texts: Sequence[str], batch_tokens: int = 2048
) -> dict[Site, np.ndarray]:
    """The activations of every token of neutral texts but the first of each text.

    The first token is left out because it is an attention sink in most decoders.

    Parameters
    ----------
    sites : where activations are read.
    texts : the texts, as they stand, without a chat template.
    batch_tokens : the number of tokens of one forward, padding included.

    Returns
    -------
    Site -> `[token, width]` float32. The same texts give the same rows in the same order at every stage that
    shares the tokenizer.

    Example
    -------
    >>> from probes.activations import run_context
    >>> states = neutral_states(run_context(stage), [probes.Site("resid_post", 1)], ["the plain old chair"])
    >>> states[probes.Site("resid_post", 1)].shape[1]
    32
    """
    rows = [text_ids(context.tokenizer, text) for text in texts]
    context.check(token for row in rows for token in row)
    states: dict[Site, dict[int, np.ndarray]] = {site: {} for site in sites}
    with torch.inference_mode():
        for batch_rows in batches_by_length([len(row) for row in rows], batch_tokens):
            batch = TokenBatch.pad([rows[i] for i in batch_rows], context.pad_id)
            real = after_first(batch.attention_mask)
            for site, values in context.model.read(batch, list(states)).items():
                states[site] |= {
                    i: row[mask].numpy() for i, row, mask in zip(batch_rows, values, real, strict=True)
                }
    return {site: np.concatenate([by_row[i] for i in range(len(rows))]) for site, by_row in states.items()}
