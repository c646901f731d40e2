"""Checks, in tests only, that arrays have the shapes that signatures promise, such as `"layer example d"`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from beartype import beartype
from jaxtyping import AbstractArray, install_import_hook

ROOMS = ("probes.stats", "probes.probing", "probes.activations", "probes.steering")


def check_shapes() -> None:
    """Check the shapes in every signature and dataclass of these rooms, from their import on.

    Modules that were imported before are not checked.
    """
    install_import_hook(ROOMS, f"{__name__}.only_shapes")


def only_shapes(function: Callable) -> Callable:
    """The function with its shapes checked by beartype.

    Annotations without a shape are left to pyright, so that tests can give values of a wrong type on purpose.
    """
    annotations = {name: one for name, one in function.__annotations__.items() if holds_shape(one)}
    function.__annotations__ = annotations
    return beartype(function)


def holds_shape(annotation: Any) -> bool:
    """Whether an annotation is an array with a shape, or has one inside, as a dict of arrays has."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    return any(map(holds_shape, get_args(annotation)))
