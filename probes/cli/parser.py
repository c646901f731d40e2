"""The command line: every command with its options, an example, and the function of `verbs` that runs it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import probes
from probes.cli import verbs
from probes.cli.locating import add_locating
from probes.cli.options import (
    LINEAGE,
    ONE_CONCEPT,
    SEVERAL_CONCEPTS,
    Parser,
    activation_options,
    add_item_sets,
    add_site,
    add_stages,
    add_store,
    model_options,
    number_or_all,
    position_option,
    table_option,
    verb,
)
from probes.concepts import FORMATS, WORDINGS


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog="probes",
        description="Measure what each training stage of a model knows, uses and keeps of a concept.",
        epilog=(
            "example:\n"
            "  probes survey checkpoints/msm-mini --concept affordability --out out/first --quick\n\n"
            "'probes COMMAND --help' explains a command and shows an example of it."
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"spec-probes {probes.__version__}")
    commands = top.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    _add_measuring(commands)
    add_locating(commands)
    _add_survey_folders(commands)
    _add_lineages(commands)
    _add_concepts(commands)
    _add_checks(commands)
    return top


def _add_measuring(commands: Any) -> None:
    """Commands that run a model."""
    p = verb(
        commands,
        "survey",
        verbs.survey,
        "measure, compare and judge concepts at every stage; writes tables, figures and a report",
        "probes survey checkpoints/msm-mini --concept affordability --concept domestic --out out/demo",
        model_options(),
        position_option(),
    )
    p.add_argument("lineage", help=LINEAGE)
    p.add_argument("--concept", action="append", required=True, help=SEVERAL_CONCEPTS)
    p.add_argument("--out", required=True, type=Path, help="folder for tables, figures and report.html")
    add_stages(p)
    p.add_argument(
        "--seeds", nargs="+", type=int, metavar="SEED", help="only stages trained with these seeds"
    )
    p.add_argument(
        "--quick", action="store_true", help="fewer choice items, no dose-response, no alignment of stages"
    )
    p.add_argument(
        "--items",
        type=number_or_all,
        metavar="N|all",
        help="test choice items of each concept, drawn evenly over domains and templates (default: 14, two "
        "of each domain of the packaged attributes; 7 with --quick)",
    )
    p.add_argument(
        "--shifts",
        nargs="*",
        default=["wording"],
        metavar="AXIS",
        help="axes on which verdicts test the probes (default: wording)",
    )
    p.add_argument(
        "--no-static", action="store_true", help="write no SVG and PNG figures, which need a browser"
    )

    p = verb(
        commands,
        "extract",
        verbs.extract,
        "write the activations of one stage on one concept to a safetensors file",
        "probes extract checkpoints/msm-mini msm_afford --concept affordability --out acts.safetensors",
        model_options(),
        position_option(),
        activation_options(),
    )
    p.add_argument("lineage", help=LINEAGE)
    p.add_argument("stage", help="name of the stage")
    p.add_argument("--concept", required=True, help=ONE_CONCEPT)
    p.add_argument(
        "--all", action="store_true", help="also its shifted pairs and its other readings (default: its core)"
    )
    add_site(p)
    p.add_argument("--layers", type=int, nargs="+", metavar="LAYER", help="block indices (default: all)")
    p.add_argument("--out", required=True, type=Path, help="safetensors file to write")

    p = verb(
        commands,
        "sweep",
        verbs.sweep,
        "fit probes and their controls at every layer, for each stage, concept and estimator",
        "probes sweep checkpoints/msm-mini --concept affordability --estimator logistic mass_mean",
        model_options(),
        position_option(),
        activation_options(),
        table_option(),
    )
    p.add_argument("lineage", help=LINEAGE)
    p.add_argument("--concept", action="append", required=True, help=SEVERAL_CONCEPTS)
    add_stages(p)
    add_site(p)
    p.add_argument(
        "--estimator",
        nargs="+",
        default=["logistic"],
        help="logistic, mass_mean, lda or ridge; one or several (default: logistic)",
    )

    p = verb(
        commands,
        "steer",
        verbs.steer,
        "steer one stage along a concept's direction at several doses, and score its choices",
        "probes steer checkpoints/msm-mini msm_afford --concept affordability --items 20",
        model_options(),
        position_option(),
        activation_options(),
        table_option(),
    )
    p.add_argument("lineage", help=LINEAGE)
    p.add_argument("stage", help="name of the stage that is steered")
    p.add_argument("--concept", required=True, help=ONE_CONCEPT)
    p.add_argument("--source", help="stage at which the direction is fitted (default: the same)")
    p.add_argument(
        "--layer", type=int, help="block to intervene at (default: the best on the selection pairs)"
    )
    p.add_argument(
        "--alphas",
        type=float,
        nargs="+",
        metavar="ALPHA",
        help="doses in natural units (default: -4 -2 -1 1 2 4)",
    )
    p.add_argument(
        "--items",
        type=int,
        help="number of choice items, drawn over domains and templates (default: all test items)",
    )
    p.add_argument("--random", type=int, default=20, help="number of random directions (default: 20)")

    p = verb(
        commands,
        "survival",
        verbs.survival,
        "compare a concept's directions at every stage with every other stage",
        "probes survival checkpoints/msm-mini --concept affordability --out survival.parquet",
        model_options(),
        position_option(),
        table_option(),
    )
    p.add_argument("lineage", help=LINEAGE)
    p.add_argument("--concept", required=True, help=ONE_CONCEPT)
    add_stages(p)
    add_store(p)

    p = verb(
        commands,
        "shifts",
        verbs.shifts,
        "test probes and choices on each shift axis: wording, domain, language, horizon, pressure",
        "probes shifts checkpoints/msm-mini --concept affordability/norm --out shifts.parquet",
        model_options(),
        position_option("answer"),
        table_option(),
    )
    p.add_argument("lineage", help=LINEAGE)
    p.add_argument("--concept", action="append", required=True, help=SEVERAL_CONCEPTS)
    add_stages(p)
    add_store(p)
    p.add_argument("--no-choices", action="store_true", help="test the probes only, and no choice items")

    p = verb(
        commands,
        "behaviour",
        verbs.behaviour,
        "score files of choice items at every stage, and contrast the stages",
        "probes behaviour checkpoints/msm-mini --items checkpoints/msm-mini/items/*.jsonl "
        "--contrast 'msm_afford_aft - aft' --out out/behaviour",
        model_options(),
    )
    p.add_argument("lineage", help=LINEAGE)
    p.add_argument(
        "--texts",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="files of plain text whose perplexity is measured, one passage a line",
    )
    add_item_sets(p)

    p = verb(
        commands,
        "battery",
        verbs.battery,
        "ask choice items in several forms: whether answers follow the question or are strings",
        "probes battery checkpoints/msm-mini --stages base msm_domestic --concept domestic --number 14",
        model_options(),
    )
    p.add_argument("lineage", help=LINEAGE)
    p.add_argument("--concept", action="append", default=[], help=SEVERAL_CONCEPTS)
    p.add_argument(
        "--number",
        type=int,
        metavar="N",
        help="items of each set, drawn over domains and templates (default: all)",
    )
    p.add_argument(
        "--wordings", type=int, default=WORDINGS, help=f"wordings of each form (default: {WORDINGS})"
    )
    add_item_sets(p)
    p.add_argument("--no-competence", action="store_true", help="ask no undisputed items")


def _add_survey_folders(commands: Any) -> None:
    """Commands that work on a survey's folder, without a model."""
    p = verb(
        commands,
        "judge",
        verbs.judge,
        "judge a survey's folder again under other criteria, without a model",
        "probes judge out/demo --criteria criteria.toml",
        table_option(),
    )
    p.add_argument("folder", type=Path, help="a survey's folder")
    p.add_argument(
        "--criteria",
        type=Path,
        help="TOML file of the thresholds that differ from the defaults, like decodable = 0.8",
    )

    p = verb(
        commands,
        "figures",
        verbs.figures,
        "export the figures of a survey's folder, for a paper or a web page",
        "probes figures out/demo --out figures --format pdf svg --preset neurips",
    )
    p.add_argument("results", type=Path, help="a survey's folder, or the results.parquet in it")
    p.add_argument("--out", type=Path, default=Path("figures"), help="folder to write (default: figures)")
    p.add_argument(
        "--format",
        nargs="+",
        default=["pdf", "svg", "png"],
        help="pdf, svg, png or html; one or several (default: pdf svg png)",
    )
    p.add_argument("--preset", help="size and type of a paper, for example neurips")

    p = verb(
        commands,
        "report",
        verbs.report,
        "write the HTML report of a survey's folder again",
        "probes report out/demo",
    )
    p.add_argument("results", type=Path, help="a survey's folder, or the results.parquet in it")
    p.add_argument("--out", type=Path, help="file to write (default: report.html in the survey's folder)")


def _add_lineages(commands: Any) -> None:
    """Commands on a lineage itself."""
    lineage = _group(commands, "lineage", "show, check or build a lineage")
    p = verb(
        lineage,
        "show",
        verbs.lineage_show,
        "draw the tree of stages",
        "probes lineage show checkpoints/msm-mini",
    )
    p.add_argument("lineage", help=LINEAGE)

    p = verb(
        lineage,
        "check",
        verbs.lineage_check,
        "check that every stage loads and fits its parent, and that adapters change the outputs",
        "probes lineage check checkpoints/msm-mini",
    )
    p.add_argument("lineage", help=LINEAGE)
    p.add_argument(
        "--download", action="store_true", help="also download and load what is not in the hub's cache"
    )
    p.add_argument("--quick", action="store_true", help="load no model: only configs, headers and tokenizers")
    p.add_argument(
        "--positions",
        action="store_true",
        help="also show what each position reads, one line a stage",
    )

    p = verb(
        lineage,
        "build",
        verbs.lineage_build,
        "train the stages of a recipe that are missing; a second run goes on where one stopped",
        "probes lineage build checkpoints/msm-mini/recipe.toml --stages aft --out out/msm-mini",
    )
    p.add_argument("recipe", help="the recipe, a TOML file")
    p.add_argument(
        "--stages", nargs="+", metavar="STAGE", help="only these stages and those they are trained from"
    )
    p.add_argument("--out", type=Path, help="folder of the lineage (default: the recipe's folder)")
    p.add_argument(
        "--fresh", action="store_true", help="train every stage, also those that stand beside the recipe"
    )


def _add_concepts(commands: Any) -> None:
    """Commands on concepts."""
    concepts = _group(commands, "concepts", "list, check or import concepts")
    verb(concepts, "list", verbs.concepts_list, "list the packaged concepts", "probes concepts list")

    p = verb(
        concepts,
        "lint",
        verbs.concepts_lint,
        "find what gives a concept's labels away on the surface of its texts; fails if anything does",
        "probes concepts lint affordability my-concept --tokenizer checkpoints/msm-mini",
    )
    p.add_argument("concept", nargs="+", help="packaged names, concept folders or files")
    p.add_argument(
        "--tokenizer", type=Path, help="folder of a lineage or model, to find texts that are too long"
    )
    p.add_argument("--context", type=int, help="context window in tokens (default: the model's)")

    p = verb(
        concepts,
        "import",
        verbs.concepts_import,
        "make a concept folder from a table, a JSON file, a saved dataset or an Inspect log",
        "probes concepts import statements.csv --out my-concept",
    )
    p.add_argument("file", type=Path, help="CSV, JSON, JSONL or Parquet file, saved dataset or Inspect log")
    p.add_argument(
        "--format",
        default="auto",
        choices=["auto", *FORMATS],
        help="layout of the rows (default: found from their columns)",
    )
    p.add_argument(
        "--against", type=Path, help="file of documents or chats with label 0, where rows have no label"
    )
    p.add_argument("--score", help="scorer, or scorer.key, that labels the samples of an Inspect log")
    p.add_argument("--out", required=True, type=Path, help="folder to write")


def _add_checks(commands: Any) -> None:
    """Commands that check the toolkit itself."""
    p = verb(
        commands,
        "validate",
        verbs.validate,
        "measure the toolkit's own error rates on models whose answers are known",
        "probes validate --quick",
    )
    p.add_argument("--quick", action="store_true", help="only a few questions of each kind")
    p.add_argument("--each", type=int, default=12, help="organisms of each kind in each half (default: 12)")
    p.add_argument("--workers", type=int, default=1, help="processes of one thread each (default: 1)")
    p.add_argument(
        "--seed", type=int, default=0, help="seed of simulations, organisms and transforms (default: 0)"
    )
    p.add_argument(
        "--lineage",
        default="checkpoints/msm-mini",
        help="real checkpoints that are transformed (default: checkpoints/msm-mini)",
    )
    p.add_argument("--out", type=Path, help="folder for the calibration, answers and marks (.parquet)")

    verb(
        commands,
        "doctor",
        verbs.doctor,
        "show what this machine has of what the toolkit needs",
        "probes doctor",
    )


def _group(commands: Any, name: str, summary: str) -> Any:
    """Add a command that has commands of its own."""
    added = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    return added.add_subparsers(dest=f"{name}_verb", required=True, metavar="COMMAND")
