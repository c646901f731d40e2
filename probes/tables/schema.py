"""The one table format in which every measurement is handed on: its columns, and rows made from estimates.

It stands apart from the other rooms because all of them write it, and figures and report read nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from probes.stats.estimates import Estimate

SCHEMA: dict[str, Any] = {
    "lineage": pl.String,  # name of the lineage, null for a model given by hand
    "stage": pl.String,  # the stage the measurement was made at
    "source_stage": pl.String,  # the stage the probe or direction was fitted at; null = the same
    "concept": pl.String,
    "measure": pl.String,  # auroc | accuracy | cosine | cosine_whitened | steering_slope | choice_rate | ...
    "variant": pl.String,  # what was measured: probe | shuffled_labels | word_ngrams | frozen | ...
    "estimator": pl.String,  # logistic | mass_mean | lda | ridge | null
    "site": pl.String,  # embed | resid_pre | resid_mid | resid_post | attn_out | mlp_out | z | z head N
    "layer": pl.Int64,  # block index, 0 = first; null where there is no layer
    "position": pl.String,  # last | mean | decision | span | null
    "render": pl.String,  # shared: the same token ids at every stage; own: the stage's own chat template
    "shift": pl.String,  # axis the texts or items were moved along; null on canonical ones
    "shift_value": pl.String,  # where to on that axis; null for the whole axis
    "alpha": pl.Float64,  # dose in natural units; null where nothing was added
    "estimate": pl.Float64,
    "ci_low": pl.Float64,  # 95% interval
    "ci_high": pl.Float64,
    "n_pairs": pl.Int64,  # independent units behind the estimate: pairs, or choice items
    "n_seeds": pl.Int64,  # training seeds behind the estimate
    "seed": pl.Int64,  # seed of the resampling and of random controls
    "selected": pl.Boolean,  # this layer was chosen, on the selection split
    "digest": pl.String,  # identifies the inputs: weights, tokenizer, token ids, settings
}


def tidy(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """One row per measurement, in the columns of `SCHEMA`; a column that a row lacks is null."""
    rows = list(rows)
    unknown = {key for row in rows for key in row} - set(SCHEMA)
    if unknown:
        raise KeyError(f"columns that are not in the result schema: {sorted(unknown)}")
    return pl.DataFrame([{key: row.get(key) for key in SCHEMA} for row in rows], schema=SCHEMA)


def interval_columns(estimate: Estimate, count: str = "n_pairs") -> dict[str, Any]:
    """The columns that hold an estimate: `estimate`, `ci_low`, `ci_high`, and the number of units, `count`.

    Example
    -------
    >>> interval_columns(Estimate(0.9, 0.8, 0.95, n=40))
    {'estimate': 0.9, 'ci_low': 0.8, 'ci_high': 0.95, 'n_pairs': 40}
    """
    return {
        "estimate": estimate.value,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        count: estimate.n,
    }
