"""Concepts: labelled pairs, choice items, the formats they are read from, and the packaged library."""

from probes.concepts.concept import Concept, Meta
from probes.concepts.folder import read_folder, write_folder
from probes.concepts.library import list_concepts, load_concept
from probes.concepts.readers import read_caa, read_csv
from probes.concepts.records import ORDERS, ChoiceItem, Example, Message, Order

__all__ = [
    "ORDERS",
    "ChoiceItem",
    "Concept",
    "Example",
    "Message",
    "Meta",
    "Order",
    "list_concepts",
    "load_concept",
    "read_caa",
    "read_csv",
    "read_folder",
    "write_folder",
]
