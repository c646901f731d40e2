"""Stage against stage, from measurements alone: what of a concept's direction is left at later stages."""

from probes.transfer.compare import compare
from probes.transfer.parents import compare_with, comparison_table
from probes.transfer.pooling import family_parents, pooled, related

__all__ = [
    "compare",
    "compare_with",
    "comparison_table",
    "family_parents",
    "pooled",
    "related",
]
