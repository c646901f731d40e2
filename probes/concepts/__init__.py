"""Concepts: labelled pairs, choice items, the formats they are read from, and the packaged library.

From left to right: the rows (`fields`, `records`, `rows`), what surrounds them (`header`, `tables`, `chats`,
`summary`), the writing of a folder (`writing`), `Concept` itself, and what reads one (`folder`, `layouts`,
`readers`, `transcripts`, `library`). `battery` makes the forms of the behaviour battery
out of a choice item. `neutral` holds texts in which no concept is at stake and `undisputed` items about which
nobody disagrees; `folds` and
`surface` serve the lint and the baselines of probes.
"""

from probes.concepts.battery import FORMS, WORDINGS, Form, battery_forms, form_of, turnable
from probes.concepts.concept import Concept
from probes.concepts.folder import read_choices, read_folder
from probes.concepts.header import Meta
from probes.concepts.library import list_concepts, load_concept
from probes.concepts.readers import (
    FORMATS,
    read_caa,
    read_chats,
    read_csv,
    read_dataset,
    read_documents,
    read_file,
    read_preferences,
)
from probes.concepts.records import AXES, ORDERS, READINGS, ChoiceItem, Example, Message, Order
from probes.concepts.transcripts import read_transcripts
from probes.concepts.undisputed import undisputed_items

__all__ = [
    "AXES",
    "FORMATS",
    "FORMS",
    "ORDERS",
    "READINGS",
    "WORDINGS",
    "ChoiceItem",
    "Concept",
    "Example",
    "Form",
    "Message",
    "Meta",
    "Order",
    "battery_forms",
    "form_of",
    "list_concepts",
    "load_concept",
    "read_caa",
    "read_chats",
    "read_choices",
    "read_csv",
    "read_dataset",
    "read_documents",
    "read_file",
    "read_folder",
    "read_preferences",
    "read_transcripts",
    "turnable",
    "undisputed_items",
]
