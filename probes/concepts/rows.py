"""`Rows`: examples and choice items that fit together, and their labels, pairs and tags as arrays."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import Self

import numpy as np
import polars as pl
from pydantic import model_validator

from probes.concepts.fields import Record, invalid
from probes.concepts.records import AXES, READINGS, ChoiceItem, Example, first_repeat
from probes.concepts.units import units_of_examples


def _units(examples: tuple[Example, ...]) -> np.ndarray:
    """`units_of_examples`, which is kept for the tuples that were asked for last, because it sorts texts."""
    kept = _KEPT.pop(id(examples), None)
    units = units_of_examples(examples) if kept is None else kept[1]
    _KEPT[id(examples)] = examples, units  # the tuple is kept too, so that its id stays its own
    if len(_KEPT) > N_KEPT:
        _KEPT.popitem(last=False)
    return units.copy()


N_KEPT = 16
_KEPT: OrderedDict[int, tuple[tuple[Example, ...], np.ndarray]] = OrderedDict()


class Rows(Record):
    """Labelled examples and choice items, in an order that everything computed from them keeps.

    `Concept` is what users handle: it adds what the rows are meant to show, and the selection of parts.
    """

    examples: tuple[Example, ...]
    choices: tuple[ChoiceItem, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if repeat := first_repeat((example.pair, example.label) for example in self.examples):
            row, earlier = repeat
            example = self.examples[row - 1]
            raise invalid(
                f"pairs row {row}, field 'pair': {example.pair!r} already has label {example.label} in "
                f"row {earlier}: expected at most one example of each label in a pair"
            )
        labels = {example.label for example in self.examples}
        if len(labels) < 2:
            present = f"only label {labels.pop()}" if labels else "no example"
            raise invalid(
                f"pairs, field 'label': {present} among {len(self.examples)} rows: expected labels 0 and 1"
            )
        if repeat := first_repeat(item.id for item in self.choices):
            row, earlier = repeat
            raise invalid(
                f"choices row {row}, field 'id': {self.choices[row - 1].id!r} is also in row {earlier}: "
                "expected unique ids"
            )
        return self

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.examples)

    @property
    def n_pairs(self) -> int:
        """Number of independent units: of pairs, where copies of one text count once (see `groups`).

        Example
        -------
        >>> concept.n_pairs, len(concept)
        (24, 48)
        """
        return len(set(self.groups.tolist()))

    @property
    def labels(self) -> np.ndarray:
        """The label of each example, int64 `[example]`, 0 or 1.

        Example
        -------
        >>> concept.labels[:4]
        array([1, 0, 1, 0])
        """
        return np.array([example.label for example in self.examples], dtype=np.int64)

    @property
    def groups(self) -> np.ndarray:
        """The independent unit of each example, str `[example]`: the id of its pair.

        Pairs that share a text are one unit with the id of the first of them. Without pair ids, texts of
        opposite labels that differ in a few words are one unit (see `probes.concepts.units`).

        Example
        -------
        >>> concept.groups[:4].tolist()
        ['p0', 'p0', 'p1', 'p1']
        """
        return _units(self.examples)

    @property
    def readings(self) -> tuple[str, ...]:
        """The readings that examples are marked with: "attribute", "norm", both or none.

        Example
        -------
        >>> probes.load_concept("affordability").readings
        ('attribute', 'norm')
        """
        marked = {example.reading for example in self.examples}
        return tuple(reading for reading in READINGS if reading in marked)

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """For each shift axis, the values that examples and choice items were moved to.

        Example
        -------
        >>> probes.load_concept("affordability").axes["language"]
        ('de', 'es', 'fr', 'zh')
        """
        rows = [row for row in (*self.examples, *self.choices) if row.shift]
        values = {a: sorted({str(getattr(row, a)) for row in rows if row.shift == a}) for a in AXES}
        return {axis: tuple(there) for axis, there in values.items() if there}

    @property
    def splits(self) -> np.ndarray:
        """The part that each example plays in a measurement, object `[example]`: train, select, test or None.

        It is None for shifted examples, which are no part of the canonical test. Where the concept holds
        pairs of two readings it is None for those of the second one (see `readings`), because the labels of
        two readings do not mean the same.

        Example
        -------
        >>> sorted(set(concept.splits))
        ['select', 'test', 'train']
        """
        first = self.readings[:1]
        return np.array(
            [e.split if e.shift is None and e.reading in (None, *first) else None for e in self.examples],
            dtype=object,
        )

    @property
    def templates(self) -> np.ndarray:
        """The id of the template that each example was written from, or None; object `[example]`.

        Example
        -------
        >>> concept.templates[:6].tolist()
        ['t0', 't0', 't0', 't0', 't1', 't1']
        """
        return np.array([example.template for example in self.examples], dtype=object)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the examples and choice items in their order; the name and origin do not count.

        Example
        -------
        >>> concept.digest == concept.model_copy(update={"name": "another name"}).digest
        True
        """
        rows = [[row.model_dump(exclude_none=True) for row in rows] for rows in (self.examples, self.choices)]
        written = json.dumps(rows, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(written.encode("utf-8")).hexdigest()

    def frame(self) -> pl.DataFrame:
        """The examples as a table: one row each, and a column for every field that any of them has.

        Example
        -------
        >>> concept.frame().columns
        ['pair', 'label', 'template', 'split', 'text', 'evidence']
        """
        rows = [example.model_dump() for example in self.examples]
        used = [key for key in Example.model_fields if any(row[key] is not None for row in rows)]
        columns = ["pair", "label", *(key for key in used if key not in ("pair", "label"))]
        return pl.DataFrame([{key: row[key] for key in columns} for row in rows], infer_schema_length=None)
