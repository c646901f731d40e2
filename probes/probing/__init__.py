"""From activations to probes and directions: estimators, erasure, cross-validation, the sweep over layers.

`layers` is where to begin: it fits a probe at every layer. `estimators` holds the probes; `solver` (one
labelling) and `batched` with `descent` (many labelings) solve them. `decoding` and `frozen_scores` hold the
statistical tests of refitted and of frozen probes.
"""

from probes.probing.angles import cosine, pooled_covariance, whiten
from probes.probing.cross_validation import grouped_folds, out_of_fold_scores
from probes.probing.direction import Direction
from probes.probing.erasure import Eraser, Erasure
from probes.probing.estimators import LDAProbe, LogisticProbe, MassMeanProbe, RidgeProbe, make_probe
from probes.probing.frozen import FrozenScore, frozen_auroc
from probes.probing.layer_directions import class_gap, shuffled_direction
from probes.probing.layers import LayerProbe, LayerSweep, best_layer, probe_layers
from probes.probing.refitting import at_same_strength
from probes.probing.splits import Splits, check_splits, split_rows
from probes.probing.strengths import ProbeSweep, sweep_probes
from probes.probing.subspace import Subspace

__all__ = [
    "Direction",
    "Eraser",
    "Erasure",
    "FrozenScore",
    "LDAProbe",
    "LayerProbe",
    "LayerSweep",
    "LogisticProbe",
    "MassMeanProbe",
    "ProbeSweep",
    "RidgeProbe",
    "Splits",
    "Subspace",
    "at_same_strength",
    "best_layer",
    "check_splits",
    "class_gap",
    "cosine",
    "frozen_auroc",
    "grouped_folds",
    "make_probe",
    "out_of_fold_scores",
    "pooled_covariance",
    "probe_layers",
    "shuffled_direction",
    "split_rows",
    "sweep_probes",
    "whiten",
]
