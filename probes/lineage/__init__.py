"""Checkpoints and how they descend from each other: read a `lineage.toml`, load and identify its stages."""

from probes.lineage.cache import cache_folder
from probes.lineage.checking import CheckResult, check, not_here
from probes.lineage.equality import equal_weights
from probes.lineage.loaded import LoadedStage
from probes.lineage.loading import LoadOptions
from probes.lineage.stages import Lineage, Stage, as_loaded, load_lineage, tree
from probes.lineage.templates import (
    answer_start,
    appended_tokens,
    apply_template,
    encode_text,
    pinned_template,
    split_markers_note,
    text_ids,
    tokens_before,
)
from probes.lineage.tokenizers import check_same_tokens, load_tokenizer

__all__ = [
    "CheckResult",
    "Lineage",
    "LoadOptions",
    "LoadedStage",
    "Stage",
    "answer_start",
    "appended_tokens",
    "apply_template",
    "as_loaded",
    "cache_folder",
    "check",
    "check_same_tokens",
    "encode_text",
    "equal_weights",
    "load_lineage",
    "load_tokenizer",
    "not_here",
    "pinned_template",
    "split_markers_note",
    "text_ids",
    "tokens_before",
    "tree",
]
