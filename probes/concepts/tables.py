"""Rows out of whatever people hold tables in, without importing the library that the table came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import polars as pl

from probes.concepts.fields import written_label
from probes.concepts.records import Example
from probes.errors import ConceptError


@runtime_checkable
class _PandasFrame(Protocol):
    """A pandas frame: iterating over it gives column names, so its rows are asked for by name."""

    def iterrows(self) -> Any: ...

    def to_dict(self, orient: str) -> Any: ...


@runtime_checkable
class _ToPandas(Protocol):
    """A table that turns itself into a pandas frame."""

    def to_pandas(self) -> Any: ...


@runtime_checkable
class _Column(Protocol):
    """A column of numpy, polars, pandas or torch."""

    def tolist(self) -> list[Any]: ...


def table_rows(table: Any) -> list[dict[str, Any]]:
    """One dict for each row of a table; a missing value (null or NaN) is None.

    Parameters
    ----------
    table : table
        A polars frame (a lazy one is collected) or a pandas frame, a Hugging Face dataset, anything with
        `to_pandas`, an iterable of mappings, or a dict of columns (lists or arrays of one length).

    Raises
    ------
    ConceptError
        For anything else. When a dict of splits was given, the message names them.

    Example
    -------
    >>> import polars as pl
    >>> table_rows(pl.DataFrame({"text": ["a", "b"], "label": [1, None]}))
    [{'text': 'a', 'label': 1}, {'text': 'b', 'label': None}]
    """
    if isinstance(table, pl.LazyFrame):
        table = table.collect()
    if isinstance(table, pl.DataFrame):
        return table.to_dicts()
    if isinstance(table, Mapping):
        columns = {name: _column(values) for name, values in table.items()}
        if columns and all(column is not None for column in columns.values()):
            return _rows_of_columns(columns)
        raise ConceptError(
            f"got a {type(table).__name__} with {', '.join(map(str, table)) or 'nothing'}: "
            "expected one table; pass one of its splits, a list of rows, or a dict of columns"
        )
    rows: list[Any] = [table]
    if isinstance(table, _PandasFrame):
        rows = table.to_dict("records")
    elif isinstance(table, Iterable) and not isinstance(table, (str, bytes)):
        rows = list(table)
    elif isinstance(table, _ToPandas):
        rows = table.to_pandas().to_dict("records")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise ConceptError(
                f"row {number} is a {type(row).__name__}: expected a polars or pandas frame, a Hugging Face "
                "dataset, an iterable of dicts, or a dict of columns"
            )
    return [{key: _present(value) for key, value in row.items()} for row in rows]


def table_examples(table: Any, columns: Mapping[str, str], name: str) -> tuple[Example, ...]:
    """One example for each row of a table.

    Parameters
    ----------
    table : table
        Whatever `table_rows` reads.
    columns : mapping of str to str
        Field of `Example` ("text", "label", "pair") -> the column that holds it. Without "pair" every row is
        a pair of its own. Columns that are named like another field of `Example` are read too.
    name : str
        Stands at the beginning of error messages.

    Raises
    ------
    ConceptError
        With the row (1 is the first) when a column is missing or a value does not fit.

    Example
    -------
    >>> rows = [{"statement": "a hat", "label": 1, "domain": "art"}]
    >>> table_examples(rows, {"text": "statement", "label": "label"}, "hats")[0].domain
    'art'
    """
    further = set(Example.model_fields) - {"text", "label", "pair", "messages"} - set(columns.values())
    examples = []
    for row, values in enumerate(table_rows(table), 1):
        missing = [column for column in columns.values() if column not in values]
        if missing:
            raise ConceptError(
                f"{name}: no column {missing[0]!r}: the table has {', '.join(map(str, values))}; "
                "name the columns with text=, label= and pair="
            )
        fields: dict[str, Any] = {"pair": f"row{row}"}
        fields |= {field: values[column] for field, column in columns.items()}
        fields["label"] = written_label(fields["label"])
        fields["text"] = "" if fields["text"] is None else fields["text"]
        fields |= {field: values[field] for field in further if values.get(field) is not None}
        try:
            examples.append(Example(**fields))
        except ConceptError as error:
            raise ConceptError(f"{name}, row {row}: {error}") from None
    return tuple(examples)


def _column(values: Any) -> list[Any] | None:
    """The values of a column, or None for what is no column: a text, or a split with rows of its own."""
    if isinstance(values, _Column):
        values = values.tolist()
    if not isinstance(values, (list, tuple)) or any(isinstance(value, Mapping) for value in values):
        return None
    return list(values)


def _rows_of_columns(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        given = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ConceptError(f"got columns of different lengths ({given}): expected one value a row in each")
    rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    return [{key: _present(value) for key, value in row.items()} for row in rows]


def _present(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value
