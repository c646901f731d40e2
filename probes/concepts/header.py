"""What a concept says about itself beside its rows: the content of `concept.toml`."""

from __future__ import annotations

from pydantic import Field

from probes.concepts.fields import Record, Text
from probes.concepts.records import Split


class Meta(Record):
    """Where a concept comes from, and which words each split keeps for itself.

    Parameters
    ----------
    not_about : str
        What the concept is not, though it is close to it.
    confounds : sequence of str
        Properties of the texts that are known to go with the label.
    sources : sequence of str
        Where the texts come from.
    licence : str
        The licence of the texts.
    banned_evidence_words : dict of str to sequence of str
        For each split, the words that carry the label there; the lint refuses them in any other split.

    Example
    -------
    >>> Meta(licence="CC0", banned_evidence_words={"train": ["cheap"]}).banned_evidence_words
    {'train': ('cheap',)}
    """

    not_about: str = ""
    confounds: tuple[Text, ...] = ()
    sources: tuple[Text, ...] = ()
    licence: str = ""
    banned_evidence_words: dict[Split, tuple[Text, ...]] = Field(default_factory=dict)


class Header(Meta):
    """All that `concept.toml` may hold: the name, the definition, the clause of the spec, and `Meta`."""

    name: Text
    definition: str = ""
    clause: str = ""

    @property
    def meta(self) -> Meta:
        """The part of the header that is a `Meta`."""
        return Meta(**self.model_dump(include=set(Meta.model_fields)))
