"""What each command does: it calls the library with the parsed options, and prints the table that comes back.

A command imports what it needs beyond the public names by itself, so that `probes --help` answers at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import polars as pl

import probes
from probes.cli.printing import check_out, deliver, loaded_stage, print_table, run_options
from probes.errors import SiteError
from probes.tables.writing import check_folder, write_table


def survey(args: argparse.Namespace) -> None:
    result = probes.survey(
        args.lineage,
        concepts=args.concept,
        out=args.out,
        stages=args.stages,
        seeds=args.seeds,
        quick=args.quick,
        items=args.items,
        position=args.position,
        shifts=args.shifts,
        static=not args.no_static,
        command=["probes", *sys.argv[1:]],
        **run_options(args),
    )
    print_table(result.overview, args.json)
    print(f"wrote {Path(args.out) / 'report.html'}", file=sys.stderr)


def extract(args: argparse.Namespace) -> None:
    check_folder(args.out.parent)
    concept = probes.load_concept(args.concept)
    concept = concept if args.all else concept.core
    acts = _activations(args, probes.load_lineage(args.lineage)[args.stage], concept)
    acts.save(args.out)
    print_table(
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


def sweep(args: argparse.Namespace) -> None:
    lineage = probes.load_lineage(args.lineage)
    stages = [lineage[name] for name in args.stages] if args.stages else list(lineage)
    concepts = [probes.load_concept(name).core for name in args.concept]
    check_out(args)
    tables = []
    for stage in stages:
        loaded = loaded_stage(stage, args)
        for concept in concepts:
            acts = _activations(args, loaded, concept)
            tables += [probes.probe_layers(acts, estimator=e, seed=args.seed).table for e in args.estimator]
    deliver(pl.concat(tables), args)


def steer(args: argparse.Namespace) -> None:
    from probes.measure.items import evaluation_items

    lineage = probes.load_lineage(args.lineage)
    concept = probes.load_concept(args.concept).core
    stage, source = lineage[args.stage], lineage[args.source or args.stage]
    check_out(args)
    loaded = loaded_stage(stage, args)
    sweep = probes.probe_layers(
        _activations(args, loaded if source is stage else source, concept), seed=args.seed, baselines=False
    )
    layer = sweep.best.layer if args.layer is None else args.layer
    if layer not in sweep.directions:
        raise SiteError(f"layer {layer} does not exist: the model has {len(sweep.directions)} blocks")
    alphas = "auto" if args.alphas is None else args.alphas
    items = evaluation_items(concept, args.items, args.seed)
    deliver(
        probes.steer(
            loaded,
            sweep.directions[layer],
            items,
            alphas=alphas,
            n_random=args.random,
            **run_options(args),
        ).table,
        args,
    )


def survival(args: argparse.Namespace) -> None:
    lineage = probes.load_lineage(args.lineage)
    if args.stages:
        lineage = lineage.subset(args.stages)
    check_out(args)
    life = probes.survival(
        lineage,
        args.concept,
        position=args.position,
        store=args.store,
        **run_options(args),
    )
    deliver(life.table, args)


def shifts(args: argparse.Namespace) -> None:
    lineage = probes.load_lineage(args.lineage)
    stages = [lineage[name] for name in args.stages] if args.stages else list(lineage)
    concepts = [probes.load_concept(name) for name in args.concept]
    check_out(args)
    tables = []
    for stage in stages:
        loaded = loaded_stage(stage, args)
        for concept in concepts:
            transfer = probes.shift_transfer(
                loaded,
                concept,
                position=args.position,
                store=args.store,
                choices=not args.no_choices,
                **run_options(args),
            )
            tables.append(transfer.table)
    deliver(pl.concat(tables), args)


def behaviour(args: argparse.Namespace) -> None:
    from probes.concepts import read_choices
    from probes.concepts.neutral import neutral_texts
    from probes.measure.behaviour import MANUAL, read_texts
    from probes.measure.formulas import read_formula

    contrasts = [read_formula(text) for text in args.contrast]
    sets = {path.stem: read_choices(path) for path in args.items}
    texts = {MANUAL: neutral_texts()} | {path.stem: read_texts(path) for path in args.texts}
    if args.out:
        check_folder(args.out)
    answers = probes.behaviour(
        probes.load_lineage(args.lineage),
        sets,
        texts,
        stages=args.stages,
        keep=args.out / "items.parquet" if args.out else None,
        **run_options(args),
    )
    table = pl.concat([answers.table, answers.rows(contrasts)])
    if args.out:
        write_table(table, args.out / "behaviour.parquet")
    shown = pl.col("variant").is_in(["per_token", "nats"]) & (pl.col("measure") != "choice_logit")
    print_table(table if args.json else table.filter(shown).drop("seed"), args.json)


def battery(args: argparse.Namespace) -> None:
    from probes.concepts import read_choices
    from probes.measure.formulas import read_formula
    from probes.measure.items import evaluation_items, spread_items

    contrasts = [read_formula(text) for text in args.contrast]
    concepts = [probes.load_concept(name).core for name in args.concept]
    sets = {concept.name: evaluation_items(concept, args.number, args.seed) for concept in concepts}
    sets |= {path.stem: spread_items(read_choices(path), args.seed)[: args.number] for path in args.items}
    if args.out:
        check_folder(args.out)
    result = probes.battery(
        probes.load_lineage(args.lineage),
        sets,
        stages=args.stages,
        wordings=args.wordings,
        competence=() if args.no_competence else None,
        keep=args.out / "items.parquet" if args.out else None,
        **run_options(args),
    )
    table = pl.concat([result.table, result.rows(contrasts)])
    if args.out:
        write_table(table, args.out / "battery.parquet")
    print_table(table if args.json else _forms_side_by_side(table), args.json)


def _forms_side_by_side(table: pl.DataFrame) -> pl.DataFrame:
    """A battery's table for people, in one row a stage and set: the rate of each form, then the scores."""
    rows = table.filter(
        pl.col("measure").is_in(["battery_rate", "battery_turned"])
        | pl.col("variant").is_in(["principled", "string"])
    )
    index = ["stage", "concept", "n_pairs", "n_seeds"]
    return rows.pivot(on="variant", index=index, values="estimate", maintain_order=True)


def judge(args: argparse.Namespace) -> None:
    criteria = probes.Criteria.read(args.criteria) if args.criteria else probes.Criteria()
    check_out(args)
    verdicts = probes.judge_folder(args.folder, criteria)
    if args.out:
        write_table(verdicts, args.out)
    shown = ["concept", "stage", "verdict", "decided_by", "origin", "effect_origin", "survival"]
    print_table(verdicts if args.json else verdicts.select(*shown, "n_to_settle"), args.json)


def figures(args: argparse.Namespace) -> None:
    from probes.study import export_figures

    for path in export_figures(args.results, args.out, formats=args.format, preset=args.preset):
        print(path)


def report(args: argparse.Namespace) -> None:
    from probes.study import rebuild_report

    print(rebuild_report(args.results, args.out))


def lineage_show(args: argparse.Namespace) -> None:
    from probes.lineage import tree

    lineage = probes.load_lineage(args.lineage)
    if args.json:
        print(json.dumps([stage.to_dict() for stage in lineage], indent=1))
    else:
        print(tree(lineage))


def lineage_check(args: argparse.Namespace) -> int:
    from probes.activations import check_positions
    from probes.lineage import check

    lineage = probes.load_lineage(args.lineage)
    findings = check(lineage, quick=args.quick, download=args.download, progress=not args.quiet)
    if args.positions:
        findings += check_positions(lineage, download=args.download)
    table = pl.DataFrame(
        [{"stage": f.stage, "level": f.level, "what": f.what} for f in findings],
        schema={"stage": pl.String, "level": pl.String, "what": pl.String},
    )
    if args.json:
        print_table(table, True)
    else:
        for row in table.iter_rows(named=True):
            print(f"{row['level']:<6} {row['stage']:<20} {row['what']}")
    return int((table["level"] == "error").any())


def lineage_build(args: argparse.Namespace) -> None:
    from probes.lineage import tree

    built = probes.build(
        args.recipe, stages=args.stages, out=args.out, progress=not args.quiet, fresh=args.fresh
    )
    print(tree(built))


def concepts_list(args: argparse.Namespace) -> None:
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
    print_table(pl.DataFrame(rows), args.json)


def concepts_lint(args: argparse.Namespace) -> int:
    from probes.concepts.linting import lint, read_tokenizer

    tokenizer, context = read_tokenizer(args.tokenizer) if args.tokenizer else (None, None)
    reports = [lint(c, tokenizer=tokenizer, context=args.context or context) for c in args.concept]
    if args.json:
        print(json.dumps([report.to_dict() for report in reports], indent=1, ensure_ascii=False))
    else:
        print("\n".join(report.text() for report in reports))
        print_table(pl.concat(report.table for report in reports).filter(pl.col("value").is_null()), False)
    return int(not all(report.passed for report in reports))


def concepts_import(args: argparse.Namespace) -> None:
    from probes.concepts import read_file

    check_folder(args.out)
    concept = read_file(args.file, args.format, against=args.against, score=args.score)
    concept.to_folder(args.out)
    print(f"{args.out}: {concept.n_pairs} pairs, {len(concept.choices)} choice items")


def validate(args: argparse.Namespace) -> int:
    from probes.validation import validate

    stages = [stage for stage in probes.load_lineage(args.lineage) if stage.seed in (None, 0)]
    result = validate(
        args.out,
        stages=stages,
        concept=probes.load_concept("affordability").core,
        quick=args.quick,
        n_each=args.each,
        workers=args.workers,
        seed=args.seed,
        progress=not args.quiet,
    )
    if not args.json:
        print_table(result.calibration, False)
    print_table(result.table, args.json)
    return int(result.false_internal > 0)


def doctor(args: argparse.Namespace) -> int:
    from probes.cli.doctor import diagnose

    diagnoses = diagnose()
    if args.json:
        print(json.dumps([vars(diagnosis) for diagnosis in diagnoses], indent=1))
    else:
        for diagnosis in diagnoses:
            print(f"{diagnosis.level:<6} {diagnosis.what:<16} {diagnosis.value}")
    return int(any(diagnosis.level == "error" for diagnosis in diagnoses))


def _activations(args: argparse.Namespace, stage: Any, concept: Any) -> Any:
    """The activations that the options ask for, of one attention head where --head names one."""
    context = probes.run_context(stage, render=args.render, **run_options(args))
    acts = probes.extract(
        context,
        concept,
        sites=getattr(args, "site", "resid_post"),
        layers=getattr(args, "layers", None) or "all",
        position=args.position,
        store=args.store,
        truncate=args.truncate,
    )
    head = getattr(args, "head", None)
    return acts if head is None else acts.of_head(head, context.model.n_heads)
