"""What it costs to find where a stage's change lives, as multiples of one pass over the same items.

    python benchmarks/mixing.py [--items 8] [--every 1] [--out benchmarks/results/mixing.json]

One pass is `probes.score_choices` of the items at one stage, with the stage loaded before; it is timed three
times before each job and three times after it. The crossing has all layers and three roles of tokens by
default; grafts and differences have half of the items.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import machine, save, seconds_of

import probes
from probes.concepts import read_choices
from probes.measure.items import spread_items

LINEAGE = Path("checkpoints/msm-mini")
CHILD, PARENT = "msm_domestic", "base"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=8, help="choice items (default: 8)")
    parser.add_argument("--every", type=int, default=1, help="cross every so many layers (default: 1)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/mixing.json"))
    args = parser.parse_args()
    lineage = probes.load_lineage(LINEAGE)
    child, parent = lineage[CHILD].load(), lineage[PARENT].load()
    items = spread_items(read_choices(LINEAGE / "items" / "american.jsonl"), 0)[: args.items]
    few = items[: max(4, args.items // 2)]
    quiet = {"progress": False}

    def one_pass(some: list) -> float:
        return seconds_of(lambda: probes.score_choices(parent, some, **quiet))

    made = probes.difference(child, parent, few[0::2], every=args.every, **quiet)
    jobs = {
        "cross": (items, lambda: probes.cross(child, parent, items, every=args.every, **quiet)),
        "graft": (few, lambda: probes.graft(child, parent, few, **quiet)),
        "difference": (few, lambda: probes.difference(child, parent, few, every=args.every, **quiet)),
        "carried": (few, lambda: probes.carried(made, child, parent, few, **quiet)),
    }
    rows = []
    for name, (some, job) in jobs.items():
        before = [one_pass(some) for _ in range(3)]
        seconds = seconds_of(job)
        passes = [seconds / each for each in sorted([*before, *(one_pass(some) for _ in range(3))])]
        rows.append({"what": name, "items": len(some), "seconds": seconds, "passes": passes})
        print(rows[-1], flush=True)
    result = machine(["torch", "transformers"]) | {"every": args.every, "rows": rows}
    save(result, args.out)


if __name__ == "__main__":
    main()
