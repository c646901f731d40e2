"""From a direction to what it does to a model: interventions, and how they change choices and text."""

from probes.steering.ablation import Ablation, ablate
from probes.steering.choices import ChoiceScores, score_choices
from probes.steering.controls import random_directions
from probes.steering.damage import Damage, damage, perplexity
from probes.steering.dose import DoseResponse, steer
from probes.steering.generation import generate
from probes.steering.gradients import ChoiceGradients, choice_gradients
from probes.steering.interventions import Ablate, Add, Clamp, Erase, after_first, everywhere
from probes.steering.slopes import Steerability, steerability

__all__ = [
    "Ablate",
    "Ablation",
    "Add",
    "ChoiceGradients",
    "ChoiceScores",
    "Clamp",
    "Damage",
    "DoseResponse",
    "Erase",
    "Steerability",
    "ablate",
    "after_first",
    "choice_gradients",
    "damage",
    "everywhere",
    "generate",
    "perplexity",
    "random_directions",
    "score_choices",
    "steer",
    "steerability",
]
