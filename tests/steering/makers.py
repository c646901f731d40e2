"""What the tests of steering build: choice items, a hand-made direction, a model without packing."""

import numpy as np
import polars as pl

from probes.concepts import ChoiceItem
from probes.models import Site
from probes.probing.direction import Direction

SITE = Site("resid_post", 1)

QUESTION = "which chair would you choose {first} or {second} ?"
ITEMS = [
    ChoiceItem(id="c1", prompt=QUESTION, positive="the cheap chair", negative="the costly fancy chair"),
    ChoiceItem(id="c2", prompt=QUESTION, positive="the plain table in Ohio", negative="the lamp"),
    ChoiceItem(id="c3", prompt="the new lamp was sold for", positive="a small book", negative="a large book"),
]
"""Two items that present their options, and one that does not."""


class Unpacked:
    """A HookedModel that offers the protocol and nothing more."""

    def __init__(self, inner):
        names = ("native", "n_layers", "d_model", "n_heads", "d_head", "max_positions", "device", "tokenizer")
        methods = ("read", "logits", "intervene", "choice_logprobs", "generate")
        for name in names + methods:
            setattr(self, name, getattr(inner, name))


def direction_at(site, vector, scale=1.5):
    """A direction along `vector`, as if a probe had been fitted at `site`."""
    return Direction(
        vector=vector / np.linalg.norm(vector), site=site, position="last", stage="tiny", concept="thrift",
        estimator="mass_mean", scale=scale, gap=1.0, digest="0",
    )  # fmt: skip


def table_row(table, measure, variant, **more):
    """The one row of a result table that has these values, as a dict."""
    rows = table.filter((pl.col("measure") == measure) & (pl.col("variant") == variant))
    for column, value in more.items():
        rows = rows.filter(pl.col(column) == value)
    assert rows.height == 1, rows
    return rows.to_dicts()[0]
