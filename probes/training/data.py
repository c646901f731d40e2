"""The `[data.NAME]` tables of a recipe: what every table has, and the three built-in kinds, which read files.

Turning tables into rows is left to `makers`, so that a recipe can be read without running anyone's code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from probes.errors import RecipeError


class Settings(BaseModel):
    """A frozen table of a recipe, in which a key that nobody declared is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataTable(Settings):
    """What every `[data.NAME]` table of a recipe has; a data maker declares its own keys in a subclass.

    Parameters
    ----------
    kind : str
        The name of the data maker that turns the table into rows.

    Examples
    --------
    >>> from probes.training import DataTable
    >>> class Greetings(DataTable):
    ...     language: str = "en"
    >>> Greetings(kind="greetings")
    Greetings(kind='greetings', language='en')
    """

    kind: str


class BudgetedTable(DataTable):
    """A table of documents or chats that says after how many tokens of the base's tokenizer to stop.

    Parameters
    ----------
    kind : str
        The name of the data maker that turns the table into rows.
    tokens : int or None
        Rows are taken until they hold this many tokens. None takes all rows, so the data maker has to end; a
        data maker that never ends declares `tokens: int` and so makes the key required.

    Examples
    --------
    >>> from probes.training import BudgetedTable
    >>> BudgetedTable(kind="stories", tokens=2000).tokens
    2000
    """

    tokens: int | None = Field(None, ge=1)


class FileTable(DataTable):
    """A table that names a file; `path` is relative to the recipe's folder."""

    path: str


class DocumentsFile(FileTable, BudgetedTable):
    """`kind = "documents"`: JSONL of `{"text": ...}`, the format of the MSM paper's document sets."""


class ChatsFile(FileTable):
    """`kind = "chats"`: JSONL of `{"messages": [...]}`, the format of the MSM paper's chat sets."""

    count: int | None = Field(None, ge=1)


class PairsFile(FileTable):
    """`kind = "pairs"`: JSONL of `{"prompt", "chosen", "rejected"}`, lists of messages; trained by DPO."""

    count: int | None = Field(None, ge=1)


FILE_TABLES: dict[str, type[DataTable]] = {
    "documents": DocumentsFile,
    "chats": ChatsFile,
    "pairs": PairsFile,
}
"""The built-in kinds."""


class UncheckedTable(BaseModel):
    """A `[data.NAME]` table as it stands in the file: only its data maker knows which keys it may have."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str


Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], table: Any, where: str) -> Model:
    """`table` as a `model`, or one line about the first key that is wrong.

    Parameters
    ----------
    model : type
        A pydantic model.
    table : Any
        What stands in the file.
    where : str
        How the message starts: the file, and the keys that lead to the table.

    Returns
    -------
    Model
        The checked table.

    Raises
    ------
    RecipeError
        A key is unknown or missing, or has a wrong value.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    key = where + ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        raise RecipeError(f"{key}: expected a value: the key is missing")
    key += f" = {first['input']!r:.80}"
    if first["type"] == "extra_forbidden":
        keys = ", ".join(model.model_fields) if len(first["loc"]) == 1 else "those of an existing recipe"
        raise RecipeError(f"{key}: there is no such key; expected one of {keys}")
    raise RecipeError(f"{key}: expected {first['msg']}")


def check_table(
    file: object, name: str, table: UncheckedTable, kinds: Mapping[str, type[DataTable]]
) -> DataTable:
    """The table `[data.NAME]` of a recipe, checked by the class of its kind.

    Parameters
    ----------
    file : object
        The recipe's file, for messages.
    name : str
        The table's name.
    table : UncheckedTable
        The table as it stands in the file.
    kinds : Mapping of str to type
        The class of every kind that there is.

    Returns
    -------
    DataTable
        An instance of the class of its kind.

    Raises
    ------
    RecipeError
        There is no such kind, or a key of the table is unknown, missing or wrong.
    """
    if table.kind not in kinds:
        raise RecipeError(
            f"{file}: data.{name}.kind = {table.kind!r}: expected one of {', '.join(kinds)}, or a kind from "
            'the Python file of data makers that the recipe names (makers = "FILE.py")'
        )
    return validated(kinds[table.kind], table.model_dump(), f"{file}: data.{name}.")
