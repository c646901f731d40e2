"""The command line: every verb with its options, an example, and the function of `verbs` that runs it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import probes
from probes.cli import verbs
from probes.concepts import FORMATS

POSITIONS_HELP = "last, mean, decision, answer, span or outside (default: {})"


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="probes", description="What each training stage of a model knows, uses and keeps of a concept."
    )
    top.add_argument("--version", action="version", version=f"spec-probes {probes.__version__}")
    commands = top.add_subparsers(dest="verb", required=True, metavar="COMMAND")

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
    position = argparse.ArgumentParser(add_help=False)
    position.add_argument("--position", default="mean", help=POSITIONS_HELP.format("mean"))
    reading = argparse.ArgumentParser(add_help=False)
    reading.add_argument("--store", type=Path, help="folder that keeps activations")
    reading.add_argument(
        "--render", default="shared", choices=["shared", "own"], help="chat template to read through"
    )
    reading.add_argument("--truncate", action="store_true", help="cut texts longer than the context window")
    table = argparse.ArgumentParser(add_help=False)
    table.add_argument("--out", type=Path, help="also write the table: .parquet, .csv or .json")

    p = verb(
        commands,
        "survey",
        verbs.survey,
        "everything: probes, steering, survival, verdicts, figures and a report for every stage and concept",
        "probes survey checkpoints/msm-mini --concept affordability --concept domestic --out out/demo",
        model,
        position,
    )
    p.add_argument("lineage", help="lineage.toml or its folder")
    p.add_argument("--concept", action="append", required=True, help="packaged name or path; may be repeated")
    p.add_argument("--out", required=True, type=Path, help="folder for results, figures and report.html")
    p.add_argument("--stages", nargs="+", help="only these stages")
    p.add_argument("--seeds", nargs="+", type=int, help="only stages trained with these seeds")
    p.add_argument("--quick", action="store_true", help="fewer choice items and no dose-response")
    p.add_argument(
        "--shifts", nargs="*", default=["wording"], help="axes the verdicts test on (default: wording)"
    )
    p.add_argument("--no-static", action="store_true", help="no PDF, SVG or PNG figures (needs no browser)")

    p = verb(
        commands,
        "extract",
        verbs.extract,
        "activations of one stage on one concept, to a safetensors file",
        "probes extract checkpoints/msm-mini msm_afford --concept affordability --out acts.safetensors",
        model,
        position,
        reading,
    )
    p.add_argument("lineage")
    p.add_argument("stage")
    p.add_argument("--concept", required=True)
    p.add_argument(
        "--all", action="store_true", help="also its shifted pairs and its other readings (default: its core)"
    )
    p.add_argument("--site", default="resid_post", help="kind of site (default: resid_post)")
    p.add_argument("--layers", type=int, nargs="+", help="block indices (default: all)")
    p.add_argument("--out", required=True, type=Path, help="safetensors file to write")

    p = verb(
        commands,
        "sweep",
        verbs.sweep,
        "probes at every layer, controls included, over stages x concepts x estimators",
        "probes sweep checkpoints/msm-mini --concept affordability --estimator logistic mass_mean",
        model,
        position,
        reading,
        table,
    )
    p.add_argument("lineage")
    p.add_argument("--concept", action="append", required=True)
    p.add_argument("--stages", nargs="+", help="only these stages")
    p.add_argument("--site", default="resid_post")
    p.add_argument("--estimator", nargs="+", default=["logistic"], help="logistic, mass_mean, lda, ridge")

    p = verb(
        commands,
        "steer",
        verbs.steer,
        "dose-response of a concept's direction on its choice task, with random directions and damage",
        "probes steer checkpoints/msm-mini msm_afford --concept affordability --items 20",
        model,
        position,
        reading,
        table,
    )
    p.add_argument("lineage")
    p.add_argument("stage")
    p.add_argument("--concept", required=True)
    p.add_argument("--source", help="stage the direction is fitted at (default: the same)")
    p.add_argument("--layer", type=int, help="block to intervene at (default: chosen on the selection split)")
    p.add_argument("--alphas", type=float, nargs="+", help="doses in natural units (default: auto)")
    p.add_argument("--items", type=int, help="at most so many test items")
    p.add_argument("--random", type=int, default=20, help="random control directions (default: 20)")

    p = verb(
        commands,
        "survival",
        verbs.survival,
        "every stage against every stage: frozen and refit probes, cosines, causal effect",
        "probes survival checkpoints/msm-mini --concept affordability --out survival.parquet",
        model,
        position,
        table,
    )
    p.add_argument("lineage")
    p.add_argument("--concept", required=True)
    p.add_argument("--stages", nargs="+", help="only these stages")
    p.add_argument("--store", type=Path, help="folder that keeps activations")

    p = verb(
        commands,
        "shifts",
        verbs.shifts,
        "canonical probes and choices on each shift axis: wording, domain, language, horizon, pressure",
        "probes shifts checkpoints/msm-mini --concept affordability/norm --out shifts.parquet",
        model,
        table,
    )
    p.add_argument("lineage")
    p.add_argument("--concept", action="append", required=True, help="packaged name or path; may be repeated")
    p.add_argument("--stages", nargs="+", help="only these stages")
    p.add_argument("--position", default="answer", help=POSITIONS_HELP.format("answer"))
    p.add_argument("--store", type=Path, help="folder that keeps activations")
    p.add_argument("--no-choices", action="store_true", help="probes alone, no choice items")

    p = verb(
        commands,
        "behaviour",
        verbs.behaviour,
        "what every stage chooses on files of choice items, its perplexity on neutral text, and contrasts",
        "probes behaviour checkpoints/msm-mini --items checkpoints/msm-mini/items/*.jsonl "
        "--contrast 'msm_afford_aft - aft' --out out/behaviour",
        model,
    )
    p.add_argument("lineage")
    p.add_argument("--items", type=Path, nargs="+", default=[], help="files like a concept's choices.jsonl")
    p.add_argument(
        "--texts", type=Path, nargs="+", default=[], help="files of plain text, one passage a line"
    )
    p.add_argument("--stages", nargs="+", help="only these stages")
    p.add_argument(
        "--contrast",
        action="append",
        default=[],
        help="also this sum over stages, seeds pooled, like 'a - b'; may be repeated",
    )
    p.add_argument(
        "--out", type=Path, help="folder for items.parquet (answers, resumed from) and behaviour.parquet"
    )

    p = verb(
        commands,
        "judge",
        verbs.judge,
        "the verdicts of a survey's folder again, under other criteria, without any model",
        "probes judge out/demo --criteria criteria.toml",
        table,
    )
    p.add_argument("folder", type=Path, help="a survey's folder")
    p.add_argument(
        "--criteria", type=Path, help="TOML file of thresholds other than the defaults, like decodable = 0.8"
    )

    p = verb(
        commands,
        "figures",
        verbs.figures,
        "export the figures of a survey for a paper",
        "probes figures out/demo --out figures --format pdf svg --preset neurips",
    )
    p.add_argument("results", type=Path, help="a survey's folder, or a results.parquet")
    p.add_argument("--out", type=Path, default=Path("figures"))
    p.add_argument("--format", nargs="+", default=["pdf", "svg", "png"], help="pdf, svg, png, html")
    p.add_argument("--preset", help="paper preset, for example neurips")

    p = verb(
        commands,
        "report",
        verbs.report,
        "write report.html again from a survey's folder",
        "probes report out/demo",
    )
    p.add_argument("results", type=Path)
    p.add_argument("--out", type=Path, help="default: report.html in the survey's folder")

    lineage = commands.add_parser("lineage", help="show, check or build a lineage").add_subparsers(
        dest="lineage_verb", required=True, metavar="COMMAND"
    )
    p = verb(
        lineage,
        "show",
        verbs.lineage_show,
        "draw the tree of stages",
        "probes lineage show checkpoints/msm-mini",
    )
    p.add_argument("lineage")
    p = verb(
        lineage,
        "check",
        verbs.lineage_check,
        "prove that every stage loads, fits its parent, and that adapters change the outputs",
        "probes lineage check checkpoints/msm-mini",
    )
    p.add_argument("lineage")
    p.add_argument(
        "--download", action="store_true", help="fetch what is not in the hub's cache, and load it"
    )
    p = verb(
        lineage,
        "build",
        verbs.lineage_build,
        "train the stages of a recipe that are not there yet, resuming where it stopped",
        "probes lineage build checkpoints/msm-mini/recipe.toml --stages aft --out out/msm-mini",
    )
    p.add_argument("recipe")
    p.add_argument("--stages", nargs="+", help="only these stages and what they need")
    p.add_argument("--out", type=Path, help="folder of the lineage (default: the recipe's)")
    p.add_argument(
        "--fresh", action="store_true", help="train also what --out could copy from beside the recipe"
    )

    concepts = commands.add_parser("concepts", help="list, check or import concepts").add_subparsers(
        dest="concepts_verb", required=True, metavar="COMMAND"
    )
    verb(concepts, "list", verbs.concepts_list, "the packaged concepts", "probes concepts list")
    p = verb(
        concepts,
        "lint",
        verbs.concepts_lint,
        "what lets a concept be read off the surface of its texts, pair by pair; fails if there is any",
        "probes concepts lint affordability my-concept --tokenizer checkpoints/msm-mini",
    )
    p.add_argument("concept", nargs="+", help="packaged names, concept folders or files")
    p.add_argument("--tokenizer", type=Path, help="lineage or model folder, to find texts that are too long")
    p.add_argument("--context", type=int, help="context window in tokens (default: the model's)")
    p = verb(
        concepts,
        "import",
        verbs.concepts_import,
        "make a concept folder from a CSV, JSON, JSONL or Parquet file, a saved dataset or an Inspect log",
        "probes concepts import statements.csv --out my-concept",
    )
    p.add_argument("file", type=Path)
    p.add_argument("--format", default="auto", choices=["auto", *FORMATS], help="default: by its columns")
    p.add_argument("--against", type=Path, help="documents or chats of label 0, where rows have no label")
    p.add_argument("--score", help="scorer, or scorer.key, that labels the samples of an Inspect log")
    p.add_argument("--out", required=True, type=Path, help="folder to write")

    p = verb(
        commands,
        "validate",
        verbs.validate,
        "the instrument's own error rates, from simulations, organisms and transforms with known answers",
        "probes validate --quick",
    )
    p.add_argument("--quick", action="store_true", help="a few of each, to see that it runs")
    p.add_argument("--each", type=int, default=12, help="organisms of each kind in each half (default: 12)")
    p.add_argument("--workers", type=int, default=1, help="processes of one thread (default: 1)")
    p.add_argument("--seed", type=int, default=0, help="draws simulations, organisms and transforms")
    p.add_argument("--lineage", default="checkpoints/msm-mini", help="real checkpoints to transform exactly")
    p.add_argument("--out", type=Path, help="folder for calibration, answers and marks (.parquet)")

    verb(commands, "doctor", verbs.doctor, "what this machine has for the toolkit", "probes doctor")
    return top
