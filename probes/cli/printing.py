"""What commands have in common when they run: options for the library, stages, tables that are printed."""

from __future__ import annotations

import argparse
from typing import Any

import polars as pl

from probes.tables.writing import check_table_path, write_table


def run_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options of running a model, as the library takes them (`probes.activations.RunOptions`)."""
    names = ("backend", "device", "device_map", "dtype", "seed")
    return {name: getattr(args, name) for name in names} | {"progress": not args.quiet}


def loaded_stage(stage: Any, args: argparse.Namespace) -> Any:
    """A stage in memory, where the options say."""
    return stage.load(device=args.device, dtype=args.dtype, device_map=args.device_map)


def check_out(args: argparse.Namespace) -> None:
    """Refuse a table that cannot be written before anything is computed."""
    if args.out:
        check_table_path(args.out)


def deliver(table: pl.DataFrame, args: argparse.Namespace) -> None:
    """Write the table where --out says, and print it."""
    if args.out:
        write_table(table, args.out)
    print_table(table.drop("digest") if not args.json else table, args.json)


def print_table(table: pl.DataFrame, as_json: bool) -> None:
    """Print a table without the columns that are empty, or as JSON with all of them."""
    if as_json:
        print(table.write_json())
        return
    shown = table.drop([c for c in table.columns if table.height and table[c].is_null().all()])
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=200,
        fmt_str_lengths=60,
        float_precision=3,
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_formatting="UTF8_HORIZONTAL_ONLY",
    ):
        print(shown)
