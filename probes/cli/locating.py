"""The commands that look inside: where a concept is used (locate), and where a training stage's change lives
(cross, graft and difference)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import polars as pl

import probes
from probes.cli.options import LINEAGE, ONE_CONCEPT, Parser, model_options, table_option, verb
from probes.cli.printing import check_out, deliver, loaded_stage, print_table, run_options
from probes.errors import InputError
from probes.tables.writing import write_table


def add_locating(commands: Any) -> None:
    """Add the commands that exchange states, and those that run mixtures of two stages."""
    p = verb(
        commands,
        "locate",
        locate,
        "find the layer and tokens where a stage's choices use a concept, by exchanging states",
        "probes locate checkpoints/msm-mini base --concept agreement.jsonl --every 3",
        model_options(),
        table_option(),
    )
    p.add_argument("lineage", help=LINEAGE)
    p.add_argument("stage", help="name of the stage")
    p.add_argument("--concept", required=True, help=ONE_CONCEPT)
    p.add_argument(
        "--exchange",
        choices=["text", "options", "question"],
        help="what the two prompts of an item differ in (default: the text of completions, else the options)",
    )
    p.add_argument("--every", type=int, default=1, help="search every so many layers (default: 1)")
    p.add_argument(
        "--dimensions",
        type=int,
        nargs="*",
        default=[1, 2, 4],
        metavar="K",
        help="dimensions of the subspaces that are learned (default: 1 2 4)",
    )
    p.add_argument("--random", type=int, default=999, help="number of random subspaces (default: 999)")
    p.add_argument("--steps", type=int, default=24, help="most steps of learning (default: 24)")
    p.add_argument(
        "--save",
        dest="save_to",
        type=Path,
        help="write the subspace that moves the choice most to this safetensors file",
    )

    p = verb(
        commands,
        "cross",
        cross,
        "run one stage's lower blocks with another's upper ones, at every layer and for roles of tokens",
        "probes cross checkpoints/msm-mini msm_domestic base --concept domestic --number 20 --every 3",
        model_options(),
        table_option(),
    )
    _add_stages_and_items(p)
    p.add_argument("--every", type=int, default=1, help="cross at every so many layers (default: 1)")
    p.add_argument(
        "--roles",
        nargs="+",
        help="roles of tokens: all, options, evidence, other, last, answer (default: all, options or "
        "evidence, last)",
    )

    p = verb(
        commands,
        "graft",
        graft,
        "put the attention and the MLP of every block of one stage into another, and take them out",
        "probes graft checkpoints/msm-mini msm_domestic base --concept domestic --number 20",
        model_options(),
        table_option(),
    )
    _add_stages_and_items(p)
    p.add_argument("--random", type=int, default=8, help="number of random updates (default: 8)")

    p = verb(
        commands,
        "difference",
        difference,
        "the mean difference of two stages' states, as directions, and what they carry of the change",
        "probes difference checkpoints/msm-mini msm_domestic base --concept domestic --number 20 --every 3",
        model_options(),
        table_option(),
    )
    _add_stages_and_items(p)
    p.add_argument("--every", type=int, default=1, help="take it at every so many layers (default: 1)")
    p.add_argument("--layer", type=int, help="with --save: the layer whose direction is saved")
    p.add_argument(
        "--save", dest="save_to", type=Path, help="write the direction at --layer to this safetensors file"
    )


def locate(args: argparse.Namespace) -> None:
    lineage = probes.load_lineage(args.lineage)
    check_out(args)
    found = probes.locate(
        lineage[args.stage],
        probes.load_concept(args.concept),
        exchanged=args.exchange,
        every=args.every,
        dimensions=args.dimensions,
        n_random=args.random,
        steps=args.steps,
        **run_options(args),
    )
    print(found.note, file=sys.stderr)
    if args.save_to:
        found.subspaces[found.best].save(args.save_to)
    if args.out:
        write_table(found.table, args.out)
    print_table(
        found.table if args.json else found.table.filter(pl.col("measure") != "site_search"), args.json
    )


def cross(args: argparse.Namespace) -> None:
    items = _items(args)
    children, parents = _stages(args)
    check_out(args)
    found = probes.cross(
        children,
        parents,
        items,
        turned=args.turned,
        every=args.every,
        roles=args.roles,
        **run_options(args),
    )
    table = found.table.with_columns(concept=pl.lit(_name(args)))
    if args.out:
        write_table(table, args.out)
    shown = table.filter(pl.col("measure") != "crossing_interaction")
    print_table(table if args.json else shown.drop("digest"), args.json)


def graft(args: argparse.Namespace) -> None:
    items = _items(args)
    children, parents = _stages(args)
    check_out(args)
    found = probes.graft(
        children, parents, items, turned=args.turned, n_random=args.random, **run_options(args)
    )
    print(found.note, file=sys.stderr)
    deliver(found.table.with_columns(concept=pl.lit(_name(args))), args)


def difference(args: argparse.Namespace) -> None:
    if (args.layer is None) != (args.save_to is None):
        raise InputError("--layer and --save go together: expected both or neither")
    items = _items(args)
    lineage = probes.load_lineage(args.lineage)
    check_out(args)
    child, parent = (loaded_stage(lineage[name], args) for name in (args.child, args.parent))
    made = probes.difference(child, parent, items[0::2], every=args.every, **run_options(args))
    if args.save_to:
        made.direction(args.layer).save(args.save_to)
    found = probes.carried(made, child, parent, items[1::2], turned=args.turned, **run_options(args))
    table = pl.concat([made.table, found.table])
    deliver(table.with_columns(concept=pl.lit(_name(args))), args)


def _add_stages_and_items(command: Parser) -> None:
    """Add what all of these commands take: two stages, and what they are asked."""
    command.add_argument("lineage", help=LINEAGE)
    command.add_argument("child", help="the stage whose change is looked for")
    command.add_argument("parent", help="the stage that it is compared with, such as its parent")
    items = command.add_mutually_exclusive_group(required=True)
    items.add_argument("--concept", help=ONE_CONCEPT)
    items.add_argument("--items", type=Path, help="a file of choice items, like a concept's choices.jsonl")
    command.add_argument(
        "--number", type=int, help="so many items, drawn over domains and templates (default: all)"
    )
    command.add_argument(
        "--turned",
        action="store_true",
        help="ask every question turned round as well, for the principled and the string score",
    )
    if not command.prog.endswith("difference"):
        command.add_argument(
            "--all-seeds",
            action="store_true",
            help="pool the training seeds that both stages have",
        )


def _name(args: argparse.Namespace) -> str:
    """What the column `concept` says."""
    return args.concept or args.items.stem


def _items(args: argparse.Namespace) -> list[Any]:
    from probes.concepts import read_choices
    from probes.measure.items import evaluation_items, spread_items

    if args.items:
        items = [item for item in read_choices(args.items) if item.shift is None]
        return spread_items(items, args.seed)[: args.number] if args.number else items
    return evaluation_items(probes.load_concept(args.concept).core, args.number, args.seed)


def _stages(args: argparse.Namespace) -> tuple[list[Any], list[Any]]:
    """The two stages, or all training seeds of both."""
    from probes.locating import seed_pairs

    lineage = probes.load_lineage(args.lineage)
    child, parent = lineage[args.child], lineage[args.parent]
    return seed_pairs(lineage, child.name, parent.name) if args.all_seeds else ([child], [parent])
