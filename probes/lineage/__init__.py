"""Checkpoints and how they descend from each other: read a `lineage.toml`, load and identify its stages."""

from probes.lineage.cache import cache_folder
from probes.lineage.checking import CheckResult, check
from probes.lineage.equality import equal_weights
from probes.lineage.loaded import LoadedStage
from probes.lineage.loading import LoadOptions
from probes.lineage.stages import Lineage, Stage, as_loaded, load_lineage, tree
from probes.lineage.tokenizers import check_same_tokens

__all__ = [
    "CheckResult",
    "Lineage",
    "LoadOptions",
    "LoadedStage",
    "Stage",
    "as_loaded",
    "cache_folder",
    "check",
    "check_same_tokens",
    "equal_weights",
    "load_lineage",
    "tree",
]
