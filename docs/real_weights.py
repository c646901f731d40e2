"""Write docs/real-weights.md: what the toolkit says of minimal pairs in SmolLM2, beside measured keys.

    python docs/real_weights.py

Answers are kept in docs/exam/real.parquet as they come in, and sets that it holds are not asked
again. To ask all of them anew, remove it first.
"""

from __future__ import annotations

import polars as pl
from pages import DOCS, number, table, with_interval, write
from scipy.stats import binomtest
from validation import PIPELINES

import probes
from probes.stats.estimates import share_interval
from probes.validation import HALVES, examine_real

KEPT = DOCS / "exam" / "real.parquet"
KEYS = {"internal": "used", "unused": "unused", "uncertified": "not certain"}


def real(answers: pl.DataFrame) -> str:
    """One row a set of minimal pairs: the key, and what the toolkit said."""
    rows = []
    for row in answers.filter(exam="real").sort("half", "truth", "kind").iter_rows(named=True):
        effect = row["evidence"].split("turns ")[1].split(" of the choice")[0]
        answer = f"{row['answer']} ({row['decided_by'].replace('_', ' ')})"
        rows.append([row["kind"].replace("_", " "), row["half"], effect, KEYS[row["truth"]], answer])
    heads = ["minimal pairs", "half", "share of the choice that the text turns", "key", "verdict"]
    return table(heads, rows)


def real_marks(answers: pl.DataFrame) -> str:
    """How many of the certified sets each method calls internal, by half."""
    rows = []
    for half in HALVES:
        here = answers.filter(exam="real", half=half)
        for name, words in {"answer": "this toolkit", **PIPELINES}.items():
            called = here["answer"] == "internal" if name == "answer" else here[name]
            counts = [called.filter(here["truth"] == truth) for truth in ("internal", "unused")]
            rows.append([half, words, *(share_of(count) for count in counts)])
    heads = ["half", "who answers", "of the used, called internal", "of the unused, called internal"]
    return table(heads, rows)


def share_of(hits: pl.Series) -> str:
    """How many of how many, and the share with its exact interval."""
    k, n = int(hits.sum()), len(hits)
    interval = share_interval(k, n)
    return f"{k} of {n}: {with_interval(interval)}"


def bound(answers: pl.DataFrame) -> str:
    """How often an unused set was called internal, over both halves, with the one-sided bound."""
    unused = answers.filter(exam="real", truth="unused")
    k, n = unused.filter(answer="internal").height, unused.height
    upper = binomtest(k, n, alternative="less").proportion_ci(0.95).high
    held_out = unused.filter(half=HALVES[1])
    least = binomtest(held_out.filter(answer="internal").height, held_out.height, alternative="less")
    return (
        f"{k} of {n} unused sets were called `internal` (upper 95% bound {number(upper)}; of the "
        f"{held_out.height} held out, bound {number(least.proportion_ci(0.95).high)}).\n"
    )


def main() -> None:
    """Ask what was not asked yet, and write the page."""
    lineage = probes.load_lineage(DOCS.parent / "checkpoints" / "msm-mini")
    answers = examine_real(lineage["base"], keep=KEPT)
    write("real-weights", {"marks": real_marks(answers), "bound": bound(answers), "sets": real(answers)})


if __name__ == "__main__":
    main()
