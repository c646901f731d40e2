"""spec-probes: what each training stage of a model knows, uses and keeps of a concept.

The names below are the public surface; they load what they need on first use, so `import probes` is quick.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "load_lineage": "probes.lineage",
    "Lineage": "probes.lineage",
    "Stage": "probes.lineage",
    "LoadedStage": "probes.lineage",
    "load_concept": "probes.concepts",
    "list_concepts": "probes.concepts",
    "Concept": "probes.concepts",
    "lint": "probes.concepts.linting",
    "hooked": "probes.models",
    "HookedModel": "probes.models",
    "Site": "probes.models",
    "extract": "probes.activations",
    "extract_many": "probes.activations",
    "Activations": "probes.activations",
    "probe_layers": "probes.probing",
    "sweep_probes": "probes.probing",
    "Direction": "probes.probing",
    "LogisticProbe": "probes.probing",
    "MassMeanProbe": "probes.probing",
    "LDAProbe": "probes.probing",
    "RidgeProbe": "probes.probing",
    "Eraser": "probes.probing",
    "steer": "probes.steering",
    "score_choices": "probes.steering",
    "choice_gradients": "probes.steering",
    "steerability": "probes.steering",
    "generate": "probes.steering",
    "Add": "probes.steering",
    "Ablate": "probes.steering",
    "Clamp": "probes.steering",
    "survival": "probes.survival",
    "shift_transfer": "probes.evidence",
    "behaviour": "probes.evidence",
    "valuation_transfer": "probes.evidence",
    "mediation": "probes.evidence",
    "Criteria": "probes.evidence",
    "draw": "probes.figures",
    "write_report": "probes.report",
    "build": "probes.training",
    "survey": "probes.survey",
}

__all__ = [
    "Ablate",
    "Activations",
    "Add",
    "Clamp",
    "Concept",
    "Criteria",
    "Direction",
    "Eraser",
    "HookedModel",
    "LDAProbe",
    "Lineage",
    "LoadedStage",
    "LogisticProbe",
    "MassMeanProbe",
    "RidgeProbe",
    "Site",
    "Stage",
    "__version__",
    "behaviour",
    "build",
    "choice_gradients",
    "draw",
    "extract",
    "extract_many",
    "generate",
    "hooked",
    "lint",
    "list_concepts",
    "load_concept",
    "load_lineage",
    "mediation",
    "probe_layers",
    "score_choices",
    "shift_transfer",
    "steer",
    "steerability",
    "survey",
    "survival",
    "sweep_probes",
    "valuation_transfer",
    "write_report",
]

if TYPE_CHECKING:
    from probes.activations import Activations, extract, extract_many
    from probes.concepts import Concept, list_concepts, load_concept
    from probes.concepts.linting import lint
    from probes.evidence import Criteria, behaviour, mediation, shift_transfer, valuation_transfer
    from probes.figures import draw
    from probes.lineage import Lineage, LoadedStage, Stage, load_lineage
    from probes.models import HookedModel, Site, hooked
    from probes.probing import (
        Direction,
        Eraser,
        LDAProbe,
        LogisticProbe,
        MassMeanProbe,
        RidgeProbe,
        probe_layers,
        sweep_probes,
    )
    from probes.report import write_report
    from probes.steering import (
        Ablate,
        Add,
        Clamp,
        choice_gradients,
        generate,
        score_choices,
        steer,
        steerability,
    )
    from probes.survey import survey
    from probes.survival import survival
    from probes.training import build


class _Package(ModuleType):
    """Keeps `probes.survival` and `probes.survey` the functions of the public surface: importing the modules
    of the same names would otherwise put the modules in their place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'probes' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
