"""`lint`: all checks of one concept, in the order in which it pays to mend what they find."""

from __future__ import annotations

from typing import Any

import polars as pl

from probes.concepts.library import load_concept
from probes.concepts.linting.balance import label_balance, length_balance, option_order, pole_balance
from probes.concepts.linting.cutting import cut_texts
from probes.concepts.linting.duplicates import duplicates
from probes.concepts.linting.evidence import banned_words, shared_evidence
from probes.concepts.linting.report import SURFACE_SCHEMA, LintIssue, LintReport
from probes.concepts.linting.separation import separation
from probes.concepts.linting.sides import unmatched_sides
from probes.concepts.linting.structure import structure
from probes.concepts.linting.views import views


def lint(concept: Any, *, tokenizer: Any = None, context: int | None = None) -> LintReport:
    """Look for whatever tells the labels of a concept's texts apart without the concept.

    The checks are `structure` (splits, templates, shift axes), `sides` (the two sides of a pair differ in
    more than the evidence), `duplicates`, `evidence` (words that mark the same label in training and in
    testing), `balance` (the label goes with template, language, length, pole, or the order of options),
    `surface` (classifiers of n-grams, length and punctuation) and `length` (texts that a model would cut).

    Parameters
    ----------
    concept : Concept, or whatever `probes.load_concept` reads
        Its readings are checked one by one. Where it has no train and test splits, the surface classifiers
        are tested on held-out folds, of whole templates where all rows have one.
    tokenizer : transformers tokenizer, optional
        Finds the texts that are longer than the context window. Without it that is not checked.
    context : int, optional
        The context window in tokens, where the tokenizer does not know it.

    Returns
    -------
    LintReport
        Its `passed` is True when nothing is wrong.

    Raises
    ------
    ConceptError
        When there is no concept to be read.
    TokenizerError
        When there are chats that the tokenizer cannot render.

    Example
    -------
    >>> rows = [
    ...     {"pair": "hat", "label": 1, "text": "a cheap hat", "evidence": [(2, 7)]},
    ...     {"pair": "hat", "label": 0, "text": "that costly hat", "evidence": [(5, 11)]},
    ... ]
    >>> print(probes.lint(rows))
    concept: 1 findings
      sides: pairs whose sides differ outside the evidence
          hat: 'a [] hat' and 'that [] hat' ([] stands for the evidence)
        do: make them the same there, mark what differs as evidence, or say "unmatched": true ...
      note: pairs: surface classifiers were not fitted (1 group: cross-validation needs at least 2 ...)
    """
    concept = load_concept(concept)
    sides, notes = unmatched_sides(concept)
    issues = [*structure(concept), *sides, *duplicates(concept)]
    table: list[dict[str, Any]] = []
    all_views = views(concept)
    options = next((view for view in all_views if view.name == "choice options"), None)
    leaks: list[LintIssue] = []
    for view in all_views:
        if view is not options:
            issues += [*shared_evidence(view, options), *pole_balance(view)]
        issues += [*label_balance(view), *length_balance(view)]
        rows, view_leaks, view_notes = separation(view, concept.name)
        table += rows
        leaks += view_leaks
        notes += view_notes
    issues += [*banned_words(concept), *option_order(concept), *leaks]
    if tokenizer is not None:
        cut, more_notes = cut_texts(concept, tokenizer, context)
        issues += cut
        notes += more_notes
    surface = pl.DataFrame(table, schema=SURFACE_SCHEMA)
    return LintReport(concept.name, tuple(issues), tuple(notes), surface)
