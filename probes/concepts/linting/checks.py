"""`lint`: every check on one concept, in the order in which mending them pays."""

from __future__ import annotations

from typing import Any

import polars as pl

from probes.concepts.library import load_concept
from probes.concepts.linting.balance import label_balance, length_balance, option_order, pole_balance
from probes.concepts.linting.cutting import cut_texts
from probes.concepts.linting.duplicates import duplicates
from probes.concepts.linting.evidence import banned_words, shared_evidence
from probes.concepts.linting.report import SURFACE_SCHEMA, LintReport
from probes.concepts.linting.separation import separation
from probes.concepts.linting.sides import unmatched_sides
from probes.concepts.linting.structure import structure
from probes.concepts.linting.views import views


def lint(concept: Any, *, tokenizer: Any = None, context: int | None = None) -> LintReport:
    """Look for whatever lets a concept be read off the surface of its texts.

    Parameters
    ----------
    concept : Concept, or what `probes.load_concept` reads
        The readings are checked apart. Without train and test splits the surface classifiers are tested on
        held-out folds, of templates where all rows have one.
    tokenizer : transformers tokenizer, optional
        To find texts that are longer than the context window; without it that is not checked.
    context : int, optional
        The window in tokens, where the tokenizer does not say.

    Returns
    -------
    LintReport, `.passed` when there are no findings. Checks: `structure` (splits, templates, axes), `sides`,
    `duplicates`, `evidence`, `balance` (labels within template and language, length, pole, option order),
    `surface` (n-gram, length and punctuation classifiers, on held-out templates and on each shift), `length`.

    Raises ConceptError for what is no concept, TokenizerError for chats that the tokenizer cannot render.
    """
    concept = load_concept(concept)
    sides, notes = unmatched_sides(concept)
    findings = [*structure(concept), *sides, *duplicates(concept)]
    table: list[dict[str, Any]] = []
    seen = views(concept)
    options = next((view for view in seen if view.name == "choice options"), None)
    leaks = []
    for view in seen:
        if view is not options:
            findings += [*shared_evidence(view, options), *pole_balance(view)]
        findings += [*label_balance(view), *length_balance(view)]
        rows, found, told = separation(view, concept.name)
        table += rows
        leaks += found
        notes += told
    findings += [*banned_words(concept), *option_order(concept), *leaks]
    if tokenizer is not None:
        found, told = cut_texts(concept, tokenizer, context)
        findings += found
        notes += told
    surface = pl.DataFrame(table, schema=SURFACE_SCHEMA)
    return LintReport(concept.name, tuple(findings), tuple(notes), surface)
