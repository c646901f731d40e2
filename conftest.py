"""Fixtures of all tests and of the examples in docstrings: no network, two threads, tiny models on disk.

Shapes in signatures are checked at run time here, and nowhere else (`tests.shape_checks`).
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a thread that waits must not spin

import numpy as np
import pytest
import torch

from tests.shape_checks import check_shapes

check_shapes()  # before probes is imported

import probes  # noqa: E402
from tests.makers import lora_adapter, price_concept, survey_table, tiny_llama, tiny_tokenizer  # noqa: E402

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


@pytest.fixture(scope="session")
def tiny_llama_dir(tmp_path_factory):
    """A folder with the tiny Llama and its tokenizer, as `save_pretrained` writes them."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_lineage_dir(tmp_path_factory):
    """base -> mid (an adapter) -> copy (the same weights as mid), and base -> control (another adapter)."""
    folder = tmp_path_factory.mktemp("tiny-lineage")
    tiny_llama(seed=3).save_pretrained(folder / "base")
    tiny_tokenizer().save_pretrained(folder / "base")
    lora_adapter(folder / "mid", tiny_llama(seed=3), seed=1)
    lora_adapter(folder / "control", tiny_llama(seed=3), seed=2)
    (folder / "lineage.toml").write_text(
        """
[lineage]
name = "tiny"
description = "three blocks and random weights"

[stages.base]
kind = "pretrain"
checkpoint = { path = "base" }

[stages.mid]
parent = "base"
kind = "midtrain"
arm = "treated"
seed = 0
checkpoint = { adapter = "mid", onto = "base" }

[stages.copy]
parent = "mid"
kind = "sft"
arm = "treated"
seed = 0
checkpoint = { adapter = "mid", onto = "base" }

[stages.control]
parent = "base"
kind = "sft"
arm = "control"
seed = 1
checkpoint = { adapter = "control", onto = "base" }
"""
    )
    return folder


@pytest.fixture(scope="session")
def prices_dir(tmp_path_factory):
    """The price concept as a folder."""
    return price_concept().to_folder(tmp_path_factory.mktemp("concepts") / "prices")


@pytest.fixture(scope="session")
def table():
    """A survey's table of two concepts at six stages, with made-up numbers (`tests.makers.survey_table`)."""
    return survey_table()


@pytest.fixture(scope="session")
def small_table():
    """The same of one concept at two stages with six layers."""
    return survey_table(stages=("base", "mid"), concepts=("prices",), layers=6)


@pytest.fixture(autouse=True)
def _names_of_examples(request, doctest_namespace, tmp_path):
    """What examples in docstrings may use: a tiny lineage, one of its stages, a concept, a survey's table, an
    empty folder."""
    if isinstance(request.node, pytest.DoctestItem):
        lineage = probes.load_lineage(request.getfixturevalue("tiny_lineage_dir"))
        doctest_namespace |= {"lineage": lineage, "stage": lineage["mid"], "concept": price_concept()}
        doctest_namespace |= {"folder": tmp_path, "probes": probes, "np": np}
        doctest_namespace["table"] = request.getfixturevalue("small_table")
