"""Making lineages: a recipe and data in, LoRA stages and a `lineage.toml` out (TRL and PEFT train).

This room holds machinery only. What an experiment trains on comes from files, or from data makers in a Python
file that its recipe names; `recipes/msm_mini` holds those of the embedded lineage.
"""

from probes.training.build import build
from probes.training.data import BudgetedTable, DataTable
from probes.training.dataset import TrainingData
from probes.training.makers import DataMaker, load_makers
from probes.training.readers import read_chats, read_documents, read_pairs
from probes.training.recipe import Recipe, read_recipe
from probes.training.replay import neutral_replay

__all__ = [
    "BudgetedTable",
    "DataMaker",
    "DataTable",
    "Recipe",
    "TrainingData",
    "build",
    "load_makers",
    "neutral_replay",
    "read_chats",
    "read_documents",
    "read_pairs",
    "read_recipe",
]
