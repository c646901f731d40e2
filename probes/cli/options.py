"""What the commands have in common: how one is added, and the options that several of them take."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

Parser = argparse.ArgumentParser

LINEAGE = "the lineage: a folder with a lineage.toml, or that file"
SEVERAL_CONCEPTS = "the concept: a packaged name (see `probes concepts list`) or a path; may be repeated"
ONE_CONCEPT = "the concept: a packaged name (see `probes concepts list`) or a path"


def verb(group: Any, name: str, run: Any, summary: str, example: str, *parents: Parser) -> Parser:
    """Add a command, with its summary, its example, and the options of `parents`."""
    added = group.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  {example}",
        parents=[*parents, printing_options()],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.set_defaults(run=run)
    return added


def number_or_all(text: str) -> int | str:
    """The value of an option that takes a number, or "all"."""
    if text == "all":
        return text
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 1 on, or all")
    return int(text)


def printing_options() -> Parser:
    """Options of every command."""
    options = Parser(add_help=False)
    group = options.add_argument_group("printing")
    group.add_argument("--json", action="store_true", help="print JSON instead of a table")
    group.add_argument("--quiet", action="store_true", help="show no progress on stderr")
    return options


def model_options() -> Parser:
    """Options of every command that runs a model."""
    options = Parser(add_help=False)
    group = options.add_argument_group("running the model")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    group.add_argument(
        "--device-map",
        help="auto spreads a large model over devices, in place of --device",
    )
    group.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16 (default: float32)")
    group.add_argument(
        "--backend",
        default="transformers",
        choices=["transformers", "transformer_lens", "nnsight"],
        help="the library that hooks the model (default: transformers, the fastest)",
    )
    group.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed of splits that a concept does not mark, of items, resampling and controls (default: 0)",
    )
    return options


def position_option(default: str = "mean") -> Parser:
    """The option that says where texts are read."""
    options = Parser(add_help=False)
    options.add_argument_group("activations").add_argument(
        "--position",
        default=default,
        help="where texts are read: last, mean, decision, answer, span, outside, token:N (-1: the last) or "
        f"text:WORDS (default: {default})",
    )
    return options


def add_site(options: Parser) -> None:
    """Options that say which activations of a block are read."""
    options.add_argument("--site", default="resid_post", help="kind of site (default: resid_post)")
    options.add_argument("--head", type=int, help="only this attention head, with --site z")


def activation_options() -> Parser:
    """Further options of commands that hand on activations."""
    options = Parser(add_help=False)
    group = options.add_argument_group("activations")
    add_store(group)
    group.add_argument(
        "--render",
        default="shared",
        choices=["shared", "own"],
        help="the chat template: one for the whole lineage, or each stage's own (default: shared)",
    )
    group.add_argument(
        "--truncate", action="store_true", help="cut texts that are longer than the context window"
    )
    return options


def table_option() -> Parser:
    """The option of commands that print a result table."""
    options = Parser(add_help=False)
    options.add_argument("--out", type=Path, help="also write the table to this .parquet, .csv or .json file")
    return options


def add_stages(command: Parser) -> None:
    """Add the option that names stages."""
    command.add_argument("--stages", nargs="+", metavar="STAGE", help="only these stages (default: all)")


def add_store(command: Any) -> None:
    """Add the option that names the folder of activations."""
    command.add_argument("--store", type=Path, help="keep activations in this folder, and look them up there")


def add_item_sets(command: Parser) -> None:
    """Add the options of commands that ask sets of choice items and contrast the answers."""
    command.add_argument(
        "--items",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="files of choice items, like a concept's choices.jsonl",
    )
    add_stages(command)
    command.add_argument(
        "--contrast",
        action="append",
        default=[],
        help="a sum over stages, like 'a - b', with training seeds pooled; may be repeated",
    )
    command.add_argument(
        "--out",
        type=Path,
        help="folder for items.parquet, from which a second run goes on, and the table "
        f"{command.prog.split()[-1]}.parquet",
    )
