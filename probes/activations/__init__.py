"""From a stage and a concept to arrays of activations, and the store that keeps them on disk."""

from probes.activations.activations import Activations
from probes.activations.context import AnyStage, RunContext, RunOptions, run_context
from probes.activations.extract import extract, extract_many
from probes.activations.position_check import check_positions
from probes.activations.rendering import POSITIONS, Rendered, render
from probes.activations.store import Store

__all__ = [
    "POSITIONS",
    "Activations",
    "AnyStage",
    "Rendered",
    "RunContext",
    "RunOptions",
    "Store",
    "check_positions",
    "extract",
    "extract_many",
    "render",
    "run_context",
]
