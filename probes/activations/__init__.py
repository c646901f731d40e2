"""From a stage and a concept to arrays: rendering, batching, pooling inside the hook, the on-disk store."""

from probes.activations.activations import Activations
from probes.activations.context import RunContext, RunOptions, run_context
from probes.activations.extract import extract, extract_many
from probes.activations.rendering import POSITIONS, Rendered, render
from probes.activations.store import Store

__all__ = [
    "POSITIONS",
    "Activations",
    "Rendered",
    "RunContext",
    "RunOptions",
    "Store",
    "extract",
    "extract_many",
    "render",
    "run_context",
]
