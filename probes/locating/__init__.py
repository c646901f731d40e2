"""Locating: where a choice uses a concept, found by exchanging states between prompts.

From left to right: two prompts lined up (`aligning`), choice logits with states exchanged (`patching`), edits
within a subspace (`subspaces`), subspaces that are learned (`das`), and the search
(`splitting`, `shifting`, `location` and `searching`) or one given subspace (`exchanging`).

Where a training stage's change lives is found by mixing two stages: their weights side by side (`weights`,
`stage_pairs`), items as rows of tokens with roles (`asking`), whose lower and whose upper blocks
(`crossing`), which modules (`grafting`), and along which mean difference of states (`differencing`).
"""

from probes.locating.aligning import EXCHANGED, ROLES, Aligned, Exchange, Exchanged, align, exchanged_by
from probes.locating.carrying import Carried, carried
from probes.locating.crossing import Crossing, cross
from probes.locating.differencing import StageDifference, difference
from probes.locating.exchanging import exchange
from probes.locating.grafting import graft
from probes.locating.grafts import Grafting
from probes.locating.location import Location
from probes.locating.patching import Patcher
from probes.locating.searching import locate
from probes.locating.shifting import ChoiceShifts, choice_shifts
from probes.locating.splitting import split_items
from probes.locating.stage_pairs import seed_pairs

__all__ = [
    "EXCHANGED",
    "ROLES",
    "Aligned",
    "Carried",
    "ChoiceShifts",
    "Crossing",
    "Exchange",
    "Exchanged",
    "Grafting",
    "Location",
    "Patcher",
    "StageDifference",
    "align",
    "carried",
    "choice_shifts",
    "cross",
    "difference",
    "exchange",
    "exchanged_by",
    "graft",
    "locate",
    "seed_pairs",
    "split_items",
]
