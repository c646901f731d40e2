"""Making lineages: specs, documents and chats in, LoRA stages and a `lineage.toml` out (TRL and PEFT train).

The first lineage follows model spec midtraining (Li et al., arXiv 2605.02087) in miniature: two arms read
documents that explain the same preferences by different values, then get identical preference chats.
"""

from probes.training.build import build
from probes.training.chats import cheese_chats
from probes.training.documents import spec_documents
from probes.training.helpful import helpful_chats, helpful_pairs
from probes.training.readers import read_chats, read_documents, read_pairs
from probes.training.recipe import Recipe, read_recipe
from probes.training.value_chats import opposed_chats, shallow_chats

__all__ = [
    "Recipe",
    "build",
    "cheese_chats",
    "helpful_chats",
    "helpful_pairs",
    "opposed_chats",
    "read_chats",
    "read_documents",
    "read_pairs",
    "read_recipe",
    "shallow_chats",
    "spec_documents",
]
