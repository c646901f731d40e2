"""Shapes in signatures are checked in tests, in each room that writes them, and only there."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import TypeCheckError

import probes
from probes.activations.passes import read_rows
from probes.probing.layers import best_layer
from probes.probing.solver import RowSpace
from probes.stats.clusters import clusters_of
from probes.stats.jackknife import Measured
from probes.steering.columns import over_directions
from probes.steering.controls import random_directions
from tests.shape_checks import ROOMS, holds_shape

MODULES = [
    name
    for room in ROOMS
    for _, name, _ in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}.")
]


@pytest.mark.parametrize(
    ("call", "dimension"),
    [
        (lambda: best_layer(np.zeros((2, 4)), np.array([0, 1, 0])), "example is 3 which does not equal"),
        (lambda: RowSpace.of(np.zeros(4)), "1 dimension"),
        (lambda: Measured(np.zeros(2), np.zeros((3, 5))), "seed is 3 which does not equal"),
        (lambda: over_directions(np.zeros((2, 3)), ["c1", "c2"]), "2 dimension"),
    ],
    ids=["labels of another length", "one row", "seeds of another number", "a second axis"],
)
def test_a_wrong_shape_given_is_refused(call, dimension):
    with pytest.raises(TypeCheckError) as refusal:
        call()
    assert dimension in str(refusal.value.__cause__.__cause__)


def test_a_field_of_another_shape_is_refused(tiny_lineage_dir, prices_dir):
    stage = probes.load_lineage(tiny_lineage_dir)["base"]
    acts = probes.extract(stage, prices_dir, progress=False)
    with pytest.raises(TypeCheckError, match="'labels'"):
        replace(acts, labels=acts.labels[1:])
    with pytest.raises(TypeCheckError, match="'values'"):
        replace(acts, values=acts.values[0])


def test_a_wrong_shape_returned_is_refused():
    probe = probes.MassMeanProbe().fit([[0.0, 1.0], [2.0, 1.0]], [0, 1])
    assert probe.decision_function([[1.0, 1.0]]).shape == (1,)
    probe.coef_ = np.ones((1, 2, 3))
    with pytest.raises(TypeCheckError, match="return value"):
        probe.decision_function([[1.0, 1.0]])


@pytest.mark.parametrize("name", MODULES)
def test_every_shape_in_a_signature_can_be_checked(name):
    """An annotation that cannot be evaluated at run time would be left unchecked in silence."""
    module = importlib.import_module(name)
    nodes = list(ast.walk(ast.parse(inspect.getsource(module))))
    annotations = [node.annotation for node in nodes if isinstance(node, ast.arg | ast.AnnAssign)]
    annotations += [node.returns for node in nodes if isinstance(node, ast.FunctionDef)]
    texts = [ast.unparse(one) for one in annotations if one is not None]
    for text in texts:
        if "ndarray, '" in text or "Tensor, '" in text:
            assert holds_shape(eval(text, vars(module))), text


def test_every_room_is_checked():
    for function in (clusters_of, best_layer, read_rows, random_directions):
        assert hasattr(function, "__wrapped__"), function


def test_nothing_is_checked_outside_of_tests():
    script = """
import numpy as np
from probes.stats.clusters import clusters_of
from probes.stats.jackknife import Measured
assert not hasattr(clusters_of, "__wrapped__")
Measured(np.zeros(2), np.zeros((3, 5)))
"""
    subprocess.run([sys.executable, "-c", script], check=True)
