"""How a recipe does on the tuning items: `python -m recipes.msm_mini.trial LINEAGE [STAGE ...]`.

The survey has no part in this, so that recipes are chosen on items that no result is reported on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from probes.concepts.neutral import neutral_texts
from probes.lineage import as_loaded, load_lineage
from probes.stats.estimates import auroc
from probes.steering import perplexity, score_choices
from probes.steering.choices import chosen
from probes.steering.columns import over_items

from .cheeses import CHEESES
from .tuning_items import tuning_items


def trial(lineage: str | Path, stages: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows of stage, measure, estimate, ci_low, ci_high and n: one stage after the other.

    Choice rates and mean choice logits (`affordable_logit`) are per token of the options and averaged over
    both orders; their intervals are over items. `price_fact` and `origin_fact` are AUROCs of the 12 preferred
    against the 12 dispreferred cheeses. `perplexity` is on neutral text.

    Raises
    ------
    InputError
        The lineage has no such stage.
    """
    opened = load_lineage(lineage)
    for name in stages or [stage.name for stage in opened]:
        loaded = as_loaded(opened[name])
        for measure, items in tuning_items().items():
            logits = score_choices(loaded, items).logits("per_token")
            if measure.endswith("_fact"):
                estimate = {"estimate": float(auroc(logits, [c.preferred for c in CHEESES["invented"]]))}
            else:
                ids = [item.id for item in items]
                estimate = over_items(chosen(logits), ids, rate=True)
                row = {"measure": f"{measure}_logit", "n": len(items), **over_items(logits, ids)}
                yield {"stage": name, **row}
            yield {"stage": name, "measure": measure, "n": len(items), **estimate}
        texts = neutral_texts()
        yield {
            "stage": name,
            "measure": "perplexity",
            "n": len(texts),
            "estimate": perplexity(loaded, texts),
        }


def main() -> None:
    """Print the rows as they come and a table of estimates at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lineage")
    parser.add_argument("stages", nargs="*")
    args = parser.parse_args()
    rows = []
    for row in trial(args.lineage, args.stages or None):
        rows.append(row)
        print({key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()}, flush=True)
    table = pl.DataFrame(rows, infer_schema_length=None).pivot("measure", index="stage", values="estimate")
    with pl.Config(tbl_cols=-1, tbl_rows=-1, tbl_width_chars=160, float_precision=2):
        print(table)


if __name__ == "__main__":
    main()
