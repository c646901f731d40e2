"""Stage against stage, from measurements alone: what of a direction is still there at later stages."""

from probes.transfer.compare import compare
from probes.transfer.pooling import family_parents, pooled, related

__all__ = ["compare", "family_parents", "pooled", "related"]
