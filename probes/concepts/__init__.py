"""Concepts: labelled pairs, choice items, the formats they are read from, and the packaged library."""

from probes.concepts.concept import Concept, Meta
from probes.concepts.folder import read_choices, read_folder, write_folder
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

__all__ = [
    "AXES",
    "FORMATS",
    "ORDERS",
    "READINGS",
    "ChoiceItem",
    "Concept",
    "Example",
    "Message",
    "Meta",
    "Order",
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
    "write_folder",
]
