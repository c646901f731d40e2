"""Locating: where a choice uses a concept, found by exchanging states between prompts.

From left to right: two prompts lined up (`aligning`), choice logits with states exchanged (`patching`), edits
within a subspace (`subspaces`), subspaces that are learned (`das`), and the search
(`splitting`, `shifting`, `location` and `searching`) or one given subspace (`exchanging`).
"""

from probes.locating.aligning import EXCHANGED, ROLES, Aligned, Exchange, Exchanged, align, exchanged_by
from probes.locating.exchanging import exchange
from probes.locating.location import Location
from probes.locating.patching import Patcher
from probes.locating.searching import locate
from probes.locating.shifting import ChoiceShifts, choice_shifts
from probes.locating.splitting import split_items

__all__ = [
    "EXCHANGED",
    "ROLES",
    "Aligned",
    "ChoiceShifts",
    "Exchange",
    "Exchanged",
    "Location",
    "Patcher",
    "align",
    "choice_shifts",
    "exchange",
    "exchanged_by",
    "locate",
    "split_items",
]
