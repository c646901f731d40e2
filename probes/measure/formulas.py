"""Contrasts between stages as text: "msm_aft - aft" is the difference of two stages."""

from __future__ import annotations

from collections.abc import Mapping

from probes.errors import InputError


def formula(weights: Mapping[str, float]) -> str:
    """A weighted sum of stages as text.

    Parameters
    ----------
    weights : stage, or family of stages -> its weight.

    Example
    -------
    >>> formula({"msm_aft": 1, "aft": -1, "base": 0.5})
    'msm_aft - aft + 0.5 base'
    """
    text = ""
    for name, weight in weights.items():
        size = "" if abs(weight) == 1 else f"{abs(weight):g} "
        sign = ("- " if weight < 0 else "") if not text else (" - " if weight < 0 else " + ")
        text += f"{sign}{size}{name}"
    return text


def read_formula(text: str) -> dict[str, float]:
    """The weights of a sum that is written with names, + and -.

    Returns
    -------
    Name -> 1 or -1.

    Raises
    ------
    InputError : the text is anything else.

    Example
    -------
    >>> read_formula("msm_aft - aft")
    {'msm_aft': 1.0, 'aft': -1.0}
    """
    words = text.split()
    signs = words[1::2]
    if len(words) % 2 == 0 or not set(signs) <= {"+", "-"} or {"+", "-"} & set(words[::2]):
        raise InputError(f"contrast {text!r}: expected names with + or - between them, like 'msm_aft - aft'")
    return dict(zip(words[::2], [1.0, *(1.0 if sign == "+" else -1.0 for sign in signs)], strict=True))
