"""`Concept`: labelled pairs and choice items, and what they are meant to show; all later rooms use it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from probes.concepts.chats import chat_text
from probes.concepts.fields import Text
from probes.concepts.header import Header, Meta
from probes.concepts.records import AXES, Example, Tagged
from probes.concepts.rows import Rows
from probes.concepts.summary import html_summary
from probes.concepts.tables import table_examples
from probes.concepts.writing import write_folder
from probes.errors import ConceptError


class Concept(Rows):
    """Labelled examples and choice items of one concept. A concept cannot be changed.

    The order of `examples` is the row order of everything that is computed from the concept.

    Parameters
    ----------
    name : str
        What the concept is called in tables and figures.
    definition : str
        What the concept means, in a sentence.
    clause : str
        The clause of the spec that asks a model to hold the concept.
    examples : sequence of Example
        The labelled texts. Two examples with one pair id and opposite labels make a pair.
    choices : sequence of ChoiceItem
        Questions that show whether a model acts on the concept.
    meta : Meta
        Where the concept comes from.

    Raises
    ------
    ConceptError
        When there is no example, when only one label occurs, when a pair holds two examples of one label, or
        when two choice items share an id. The message is one line: row, field, value, what was expected.

    Example
    -------
    >>> probes.Concept(
    ...     name="thrift",
    ...     examples=[
    ...         {"pair": "hat", "label": 1, "text": "a cheap hat"},
    ...         {"pair": "hat", "label": 0, "text": "a costly hat"},
    ...     ],
    ... )
    Concept('thrift', 1 pairs, 2 examples, 0 choices)
    """

    name: Text
    definition: str = ""
    clause: str = ""
    meta: Meta = Meta()

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        text: str = "text",
        label: str = "label",
        pair: str | None = None,
        name: str = "concept",
    ) -> Concept:
        """A concept from any table with a text and a label in each row.

        Parameters
        ----------
        frame : table
            A polars or pandas frame, a Hugging Face dataset, or an iterable of dicts. Columns named like
            another field of `Example` (`split`, `template`, `domain`, ...) are read too; further columns are
            left out.
        text, label : str
            The columns that hold the text and the label, 0 or 1.
        pair : str, optional
            The column that holds the pair id. Without it every row has an id of its own, and rows that are
            twins (opposite labels, a few words apart) count as one pair (see `Concept.groups`).
        name : str
            What the concept is called.

        Raises
        ------
        ConceptError
            With the row (1 is the first) when a column is missing or a value does not fit.

        Example
        -------
        >>> rows = [
        ...     {"statement": "Lyon is in France.", "true": 1},
        ...     {"statement": "Lyon is in Peru.", "true": 0},
        ... ]
        >>> probes.Concept.from_frame(rows, text="statement", label="true", name="truth")
        Concept('truth', 1 pairs, 2 examples, 0 choices)
        """
        columns = {"text": text, "label": label} | ({"pair": pair} if pair is not None else {})
        examples = table_examples(frame, columns, name)
        try:
            return cls(name=name, examples=examples)
        except ConceptError as error:
            raise ConceptError(f"{name}: {error}") from None

    def texts(self, tokenizer: Any = None) -> list[str]:
        """Every example as the text that a model reads.

        Parameters
        ----------
        tokenizer : transformers tokenizer, optional
            Needed when there are chats, which its chat template renders; no generation prompt is added.

        Raises
        ------
        TokenizerError
            When there are chats and the tokenizer has no chat template, or its template refuses one.

        Example
        -------
        >>> concept.texts()[0]
        'the cheap chair was sold in Ohio red'
        """
        return [
            example.text
            if example.text is not None
            else chat_text(example.messages or (), tokenizer, f"{self.name}, row {row}")
            for row, example in enumerate(self.examples, 1)
        ]

    @property
    def canonical(self) -> Concept:
        """The examples and choice items that were not moved along any axis.

        Raises
        ------
        ConceptError
            When there are no such examples.

        Example
        -------
        >>> probes.load_concept("affordability").canonical.axes
        {}
        """
        return self._kept(lambda row: row.shift is None, "canonical")

    @property
    def core(self) -> Concept:
        """What is measured by default: canonical rows of the first reading (see `readings`) or of none.

        Raises
        ------
        ConceptError
            When there are no such examples.

        Example
        -------
        >>> whole = probes.load_concept("affordability")
        >>> len(whole) > len(whole.core), whole.core.readings
        (True, ('attribute',))
        """
        if len(self.readings) < 2 and not self.axes:
            return self
        first = (None, *self.readings[:1])
        return self._kept(lambda row: row.shift is None and row.reading in first, "core")

    def shift(self, axis: str, value: Any = None) -> Concept:
        """The examples and choice items that were moved along one axis.

        Parameters
        ----------
        axis : str
            "wording", "domain", "language", "horizon" or "pressure".
        value : optional
            Where on the axis they were moved to; by default anywhere.

        Raises
        ------
        ConceptError
            For an unknown axis, or when there are no such examples.

        Example
        -------
        >>> probes.load_concept("affordability").shift("language", "fr").axes
        {'language': ('fr',)}
        """
        if axis not in AXES:
            raise ConceptError(f"{self.name}: shift({axis!r}): expected one of {', '.join(AXES)}")
        place = None if value is None else str(value)
        call = f"shift({axis!r})" if place is None else f"shift({axis!r}, {place!r})"
        return self._kept(lambda r: r.shift == axis and place in (None, getattr(r, axis)), call)

    def read_as(self, reading: str) -> Concept:
        """The examples of one reading, with the choice items of that reading or of none.

        Parameters
        ----------
        reading : str
            "attribute" or "norm". The concept that is returned is named `name/reading`.

        Raises
        ------
        ConceptError
            When no example is marked with the reading.

        Example
        -------
        >>> probes.load_concept("affordability").read_as("norm").name
        'affordability/norm'
        """
        if reading not in self.readings:
            marked = ", ".join(self.readings) or "none that is marked"
            raise ConceptError(f"{self.name}: no pairs of reading {reading!r}: its readings are {marked}")
        examples = tuple(e for e in self.examples if e.reading == reading)
        items = tuple(c for c in self.choices if c.reading in (None, reading))
        name = f"{self.name}/{reading}"
        return Concept(**dict(self) | {"name": name, "examples": examples, "choices": items})

    def select(self, **fields: Any) -> Concept:
        """The examples, and the choice items, whose fields have the given values.

        Parameters
        ----------
        **fields
            Field of `Example` = one value, or a list, tuple or set of values that are all accepted. A choice
            item is only compared in the fields that it has.

        Raises
        ------
        ConceptError
            For an unknown field, or when what is left is not a concept (see `Concept`).

        Example
        -------
        >>> concept.select(split=["select", "test"]).n_pairs
        12
        """
        unknown = set(fields) - set(Example.model_fields)
        if unknown:
            raise ConceptError(
                f"{self.name}: select({min(unknown)}=...) is not a field: "
                f"expected {', '.join(Example.model_fields)}"
            )
        allowed = {key: value if _is_collection(value) else (value,) for key, value in fields.items()}
        call = ", ".join(f"{key}={value!r}" for key, value in fields.items())
        return self._kept(
            lambda row: all(
                getattr(row, key) in values
                for key, values in allowed.items()
                if key in type(row).model_fields
            ),
            f"select({call})",
        )

    def _kept(self, wanted: Callable[[Tagged], bool], call: str) -> Concept:
        kept = {
            "examples": tuple(e for e in self.examples if wanted(e)),
            "choices": tuple(c for c in self.choices if wanted(c)),
        }
        try:
            return Concept(**dict(self) | kept)
        except ConceptError as error:
            raise ConceptError(f"{self.name}: {call} leaves {error}") from None

    def to_folder(self, path: str | Path) -> Path:
        """Write `concept.toml`, `pairs.jsonl` and `choices.jsonl` into a folder, which is made if needed.

        Returns
        -------
        Path
            The folder, which `probes.load_concept` reads back as an equal concept.

        Raises
        ------
        OutputError
            When a concept is already there, or the folder cannot be written.

        Example
        -------
        >>> probes.load_concept(concept.to_folder(folder / "prices")) == concept
        True
        """
        about: dict[str, Any] = {"name": self.name, "definition": self.definition, "clause": self.clause}
        return write_folder(Path(path), Header(**about, **dict(self.meta)), self.examples, self.choices)

    def __repr__(self) -> str:
        return (
            f"Concept({self.name!r}, {self.n_pairs} pairs, {len(self)} examples, {len(self.choices)} choices)"
        )

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return html_summary(self.name, self.definition, self.examples, self.choices)


def _is_collection(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, (str, bytes))
