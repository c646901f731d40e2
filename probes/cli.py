"""The `probes` command: parses, calls, prints. Tables go to stdout, progress and errors to stderr."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

import probes
from probes.errors import ProbesError, SiteError
from probes.outputs import check_folder, check_table_path, write_table


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it worked, 1 when a check found something wrong, 2 when it could not run."""
    args = parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except ProbesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted; what was in the store is kept", file=sys.stderr)
        return 130


def _survey(args: argparse.Namespace) -> None:
    done = probes.survey(
        args.lineage,
        concepts=args.concept,
        out=args.out,
        stages=args.stages,
        seeds=args.seeds,
        quick=args.quick,
        position=args.position,
        static=not args.no_static,
        backend=args.backend,
        device=args.device,
        dtype=args.dtype,
        seed=args.seed,
        progress=not args.quiet,
        command=["probes", *sys.argv[1:]],
    )
    _print(done.overview, args.json)
    print(f"wrote {Path(args.out) / 'report.html'}", file=sys.stderr)


def _extract(args: argparse.Namespace) -> None:
    check_folder(args.out.parent)
    acts = _activations(args, probes.load_lineage(args.lineage)[args.stage], args.concept)
    acts.save(args.out)
    _print(
        pl.DataFrame(
            {
                "stage": [acts.stage],
                "concept": [acts.concept],
                "site": [f"{acts.site}@{acts.position}"],
                "layers": [len(acts.layers)],
                "examples": [len(acts.labels)],
                "width": [acts.values.shape[2]],
                "digest": [acts.digest],
                "file": [str(args.out)],
            }
        ),
        args.json,
    )


def _sweep(args: argparse.Namespace) -> None:
    lineage = probes.load_lineage(args.lineage)
    stages = [lineage[name] for name in args.stages] if args.stages else list(lineage)
    concepts = [probes.load_concept(name) for name in args.concept]
    _check_out(args)
    tables = []
    for stage in stages:
        loaded = stage.load(device=args.device, dtype=args.dtype)
        for concept in concepts:
            acts = _activations(args, loaded, concept)
            tables += [probes.probe_layers(acts, estimator=e, seed=args.seed).table for e in args.estimator]
    _deliver(pl.concat(tables), args)


def _steer(args: argparse.Namespace) -> None:
    from probes.survival.reading import test_items

    lineage = probes.load_lineage(args.lineage)
    concept = probes.load_concept(args.concept)
    stage, source = lineage[args.stage], lineage[args.source or args.stage]
    _check_out(args)
    loaded = stage.load(device=args.device, dtype=args.dtype)
    sweep = probes.probe_layers(
        _activations(args, loaded if source is stage else source, concept), seed=args.seed, baselines=False
    )
    layer = sweep.best.layer if args.layer is None else args.layer
    if layer not in sweep.directions:
        raise SiteError(f"layer {layer} does not exist: the model has {len(sweep.directions)} blocks")
    alphas = "auto" if args.alphas is None else args.alphas
    items = test_items(concept)[: args.items]
    _deliver(
        probes.steer(
            loaded,
            sweep.directions[layer],
            items,
            alphas=alphas,
            n_random=args.random,
            seed=args.seed,
            backend=args.backend,
            progress=not args.quiet,
        ).table,
        args,
    )


def _survival(args: argparse.Namespace) -> None:
    lineage = probes.load_lineage(args.lineage)
    if args.stages:
        lineage = lineage.subset(args.stages)
    _check_out(args)
    life = probes.survival(
        lineage,
        args.concept,
        position=args.position,
        store=args.store,
        backend=args.backend,
        device=args.device,
        dtype=args.dtype,
        seed=args.seed,
        progress=not args.quiet,
    )
    _deliver(life.table, args)


def _figures(args: argparse.Namespace) -> None:
    from probes.survey import export_figures

    for path in export_figures(args.results, args.out, formats=args.format, preset=args.preset):
        print(path)


def _report(args: argparse.Namespace) -> None:
    from probes.survey import rebuild_report

    print(rebuild_report(args.results, args.out))


def _lineage_show(args: argparse.Namespace) -> None:
    from probes.lineage import tree

    lineage = probes.load_lineage(args.lineage)
    if args.json:
        print(json.dumps([stage.to_dict() for stage in lineage], indent=1))
    else:
        print(tree(lineage))


def _lineage_check(args: argparse.Namespace) -> int:
    from probes.lineage import check

    findings = check(probes.load_lineage(args.lineage), progress=not args.quiet)
    table = pl.DataFrame(
        [{"stage": f.stage, "level": f.level, "what": f.what} for f in findings],
        schema={"stage": pl.String, "level": pl.String, "what": pl.String},
    )
    if args.json:
        _print(table, True)
    else:
        for row in table.iter_rows(named=True):
            print(f"{row['level']:<6} {row['stage']:<20} {row['what']}")
    return int((table["level"] == "error").any())


def _lineage_build(args: argparse.Namespace) -> None:
    from probes.lineage import tree

    built = probes.build(args.recipe, stages=args.stages, out=args.out, progress=not args.quiet)
    print(tree(built))


def _concepts_list(args: argparse.Namespace) -> None:
    rows = []
    for name in probes.list_concepts():
        concept = probes.load_concept(name)
        rows.append(
            {
                "concept": name,
                "pairs": concept.n_pairs,
                "choices": len(concept.choices),
                "definition": concept.definition,
            }
        )
    _print(pl.DataFrame(rows), args.json)


def _concepts_import(args: argparse.Namespace) -> None:
    check_folder(args.out)
    concept = probes.load_concept(args.file)
    concept.to_folder(args.out)
    print(f"{args.out}: {concept.n_pairs} pairs, {len(concept.choices)} choice items")


def _doctor(args: argparse.Namespace) -> int:
    from probes.doctor import diagnose

    found = diagnose()
    if args.json:
        print(json.dumps([f.__dict__ for f in found], indent=1))
    else:
        for finding in found:
            print(f"{finding.level:<6} {finding.what:<16} {finding.value}")
    return int(any(f.level == "error" for f in found))


def _activations(args: argparse.Namespace, stage: Any, concept: Any) -> Any:
    return probes.extract(
        stage,
        concept,
        sites=getattr(args, "site", "resid_post"),
        layers=getattr(args, "layers", None) or "all",
        position=args.position,
        backend=args.backend,
        store=args.store,
        render=args.render,
        truncate=args.truncate,
        device=args.device,
        dtype=args.dtype,
        progress=not args.quiet,
    )


def _check_out(args: argparse.Namespace) -> None:
    if args.out:
        check_table_path(args.out)


def _deliver(table: pl.DataFrame, args: argparse.Namespace) -> None:
    if args.out:
        write_table(table, args.out)
    _print(table.drop("digest") if not args.json else table, args.json)


def _print(table: pl.DataFrame, as_json: bool) -> None:
    if as_json:
        print(table.write_json())
        return
    told = table.drop([c for c in table.columns if table.height and table[c].is_null().all()])
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
        print(told)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="probes", description="What each training stage of a model knows, uses and keeps of a concept."
    )
    top.add_argument("--version", action="version", version=f"spec-probes {probes.__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    def verb(group: Any, name: str, run: Any, summary: str, example: str, *parents: argparse.ArgumentParser):
        added = group.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example:\n  {example}",
            parents=[base, *parents],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        return added

    base = argparse.ArgumentParser(add_help=False)
    base.add_argument("--json", action="store_true", help="print JSON instead of a table")
    base.add_argument("--quiet", action="store_true", help="no progress on stderr")
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    model.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16 (default: float32)")
    model.add_argument(
        "--backend", default="transformers", choices=["transformers", "transformer_lens", "nnsight"]
    )
    model.add_argument("--seed", type=int, default=0, help="seed of resampling and random controls")
    model.add_argument("--position", default="mean", help="last, mean, decision or span (default: mean)")
    reading = argparse.ArgumentParser(add_help=False)
    reading.add_argument("--store", type=Path, help="folder that keeps activations")
    reading.add_argument(
        "--render", default="shared", choices=["shared", "own"], help="chat template to read through"
    )
    reading.add_argument("--truncate", action="store_true", help="cut texts longer than the context window")
    table = argparse.ArgumentParser(add_help=False)
    table.add_argument("--out", type=Path, help="also write the table: .parquet, .csv or .json")

    p = verb(
        verbs,
        "survey",
        _survey,
        "everything: probes, steering, survival, figures and a report for every stage and concept",
        "probes survey checkpoints/msm-mini --concept affordability --concept domestic --out out/demo",
        model,
    )
    p.add_argument("lineage", help="lineage.toml or its folder")
    p.add_argument("--concept", action="append", required=True, help="packaged name or path; may be repeated")
    p.add_argument("--out", required=True, type=Path, help="folder for results, figures and report.html")
    p.add_argument("--stages", nargs="+", help="only these stages")
    p.add_argument("--seeds", nargs="+", type=int, help="only stages trained with these seeds")
    p.add_argument("--quick", action="store_true", help="fewer choice items and no dose-response")
    p.add_argument("--no-static", action="store_true", help="no PDF, SVG or PNG figures (needs no browser)")

    p = verb(
        verbs,
        "extract",
        _extract,
        "activations of one stage on one concept, to a safetensors file",
        "probes extract checkpoints/msm-mini msm_afford --concept affordability --out acts.safetensors",
        model,
        reading,
    )
    p.add_argument("lineage")
    p.add_argument("stage")
    p.add_argument("--concept", required=True)
    p.add_argument("--site", default="resid_post", help="kind of site (default: resid_post)")
    p.add_argument("--layers", type=int, nargs="+", help="block indices (default: all)")
    p.add_argument("--out", required=True, type=Path, help="safetensors file to write")

    p = verb(
        verbs,
        "sweep",
        _sweep,
        "probes at every layer, controls included, over stages x concepts x estimators",
        "probes sweep checkpoints/msm-mini --concept affordability --estimator logistic mass_mean",
        model,
        reading,
        table,
    )
    p.add_argument("lineage")
    p.add_argument("--concept", action="append", required=True)
    p.add_argument("--stages", nargs="+", help="only these stages")
    p.add_argument("--site", default="resid_post")
    p.add_argument("--estimator", nargs="+", default=["logistic"], help="logistic, mass_mean, lda, ridge")

    p = verb(
        verbs,
        "steer",
        _steer,
        "dose-response of a concept's direction on its choice task, with random directions and damage",
        "probes steer checkpoints/msm-mini msm_afford --concept affordability --items 20",
        model,
        reading,
        table,
    )
    p.add_argument("lineage")
    p.add_argument("stage")
    p.add_argument("--concept", required=True)
    p.add_argument("--source", help="stage the direction is fitted at (default: the same)")
    p.add_argument("--layer", type=int, help="block to push at (default: chosen on the selection split)")
    p.add_argument("--alphas", type=float, nargs="+", help="doses in natural units (default: auto)")
    p.add_argument("--items", type=int, help="at most so many test items")
    p.add_argument("--random", type=int, default=20, help="random control directions (default: 20)")

    p = verb(
        verbs,
        "survival",
        _survival,
        "every stage against every stage: frozen and refit probes, cosines, causal effect",
        "probes survival checkpoints/msm-mini --concept affordability --out survival.parquet",
        model,
        table,
    )
    p.add_argument("lineage")
    p.add_argument("--concept", required=True)
    p.add_argument("--stages", nargs="+", help="only these stages")
    p.add_argument("--store", type=Path, help="folder that keeps activations")

    p = verb(
        verbs,
        "figures",
        _figures,
        "export the figures of a survey for a paper",
        "probes figures out/demo --out figures --format pdf svg --preset neurips",
    )
    p.add_argument("results", type=Path, help="a survey's folder, or a results.parquet")
    p.add_argument("--out", type=Path, default=Path("figures"))
    p.add_argument("--format", nargs="+", default=["pdf", "svg", "png"], help="pdf, svg, png, html")
    p.add_argument("--preset", help="paper preset, for example neurips")

    p = verb(
        verbs, "report", _report, "write report.html again from a survey's folder", "probes report out/demo"
    )
    p.add_argument("results", type=Path)
    p.add_argument("--out", type=Path, help="default: report.html in the survey's folder")

    lineage = verbs.add_parser("lineage", help="show, check or build a lineage").add_subparsers(
        dest="lineage_verb", required=True, metavar="COMMAND"
    )
    p = verb(
        lineage, "show", _lineage_show, "draw the tree of stages", "probes lineage show checkpoints/msm-mini"
    )
    p.add_argument("lineage")
    p = verb(
        lineage,
        "check",
        _lineage_check,
        "prove that every stage loads, fits its parent, and that adapters change the outputs",
        "probes lineage check checkpoints/msm-mini",
    )
    p.add_argument("lineage")
    p = verb(
        lineage,
        "build",
        _lineage_build,
        "train the stages of a recipe, resuming where it stopped",
        "probes lineage build checkpoints/msm-mini/recipe.toml --stages aft --out out/msm-mini",
    )
    p.add_argument("recipe")
    p.add_argument("--stages", nargs="+", help="only these stages and what they need")
    p.add_argument("--out", type=Path, help="folder of the lineage (default: the recipe's)")

    concepts = verbs.add_parser("concepts", help="list or import concepts").add_subparsers(
        dest="concepts_verb", required=True, metavar="COMMAND"
    )
    verb(concepts, "list", _concepts_list, "the packaged concepts", "probes concepts list")
    p = verb(
        concepts,
        "import",
        _concepts_import,
        "make a concept folder from a CSV (text,label or statement,label), CAA JSON or JSONL file",
        "probes concepts import statements.csv --out my-concept",
    )
    p.add_argument("file", type=Path)
    p.add_argument("--out", required=True, type=Path)

    verb(verbs, "doctor", _doctor, "what this machine has for the toolkit", "probes doctor")
    return top


if __name__ == "__main__":
    sys.exit(main())
