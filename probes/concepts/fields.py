"""The kinds of value that a concept's fields may hold, and one-line messages for values that do not fit."""

from __future__ import annotations

from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from probes.errors import ConceptError


@runtime_checkable
class _ArrayScalar(Protocol):
    """A number that comes out of an array library (numpy, torch, ...) and converts itself to Python's."""

    def item(self) -> Any: ...


def invalid(message: str) -> PydanticCustomError:
    """A validation error whose text reaches the user unchanged, even where it holds braces.

    Example
    -------
    >>> str(invalid("expected {first}"))
    'expected {first}'
    """
    return PydanticCustomError("concept", "{reason}", {"reason": message})


def _text(value: str) -> str:
    if not value.strip():
        raise invalid("is empty: expected text")
    return _characters(value)


def _characters(value: str) -> str:
    if "\x00" in value:
        raise invalid(f"holds a NUL character at {value.index(chr(0))}: expected plain text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise invalid(f"holds half a surrogate pair at {error.start}: expected valid Unicode") from None
    return value


WRITTEN_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
"""Labels in tables that are text, as other programs write them."""


def _label(value: Any) -> int:
    value = value.item() if isinstance(value, _ArrayScalar) else value
    if not isinstance(value, (bool, int, float)) or value not in (0, 1):
        raise invalid(f"got {value!r}: expected 0 or 1")
    return int(value)


def written_label(value: Any) -> Any:
    """The label that a cell of a table means, which may be text; anything else as it is.

    Example
    -------
    >>> [written_label(cell) for cell in ("1", "True", "0.0", 1, "yes")]
    [1, 1, 0, 1, 'yes']
    """
    return WRITTEN_LABELS.get(value.strip().lower(), value) if isinstance(value, str) else value


def _identifier(value: Any) -> Any:
    value = value.item() if isinstance(value, _ArrayScalar) else value
    return str(value) if isinstance(value, int) else value


Text = Annotated[str, AfterValidator(_text)]
"""Text that is not empty and that can be written as UTF-8."""

MaybeEmpty = Annotated[str, AfterValidator(_characters)]
"""Text that may be empty and that can be written as UTF-8."""

Identifier = Annotated[str, BeforeValidator(_identifier), AfterValidator(_text)]
"""The id of a row or of a template; whole numbers become text."""

Label = Annotated[int, BeforeValidator(_label)]
"""0 or 1, given as an integer, a float, a bool or a number of an array library."""


class Record(BaseModel):
    """Base of all that a concept consists of: fields cannot be changed, and unknown fields are refused.

    Raises
    ------
    ConceptError
        With one line (field, value, what was expected) when a value does not fit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConceptError(_first_problem(error)) from None


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    first = problems[0]
    place = ".".join(str(part) for part in first["loc"])
    field = f"field '{place}' " if place else ""
    if first["type"] == "concept":
        return field + first["msg"]
    if first["type"] == "value_error":  # a row that was refused inside a table of rows
        return f"{field}: {first['msg'].removeprefix('Value error, ')}".replace(" :", ":")
    if first["type"] == "missing":
        unknown = [str(one["loc"][-1]) for one in problems if one["type"] == "extra_forbidden"]
        if unknown:
            return f"{field}is missing, and {unknown[0]!r} is not known: correct its spelling"
        return f"{field}is missing: expected a value"
    if first["type"] == "extra_forbidden":
        return f"{field}is not known: remove it, or correct its spelling"
    expected = first["msg"].removeprefix("Input should be ")
    return f"{field}got {first['input']!r}: expected {expected}"
