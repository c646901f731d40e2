"""Scores of a question and the same question turned round: what follows the question, and what does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def derived(forms: Sequence[str], logits: np.ndarray) -> dict[str, np.ndarray]:
    """Choice logits by form, with the scores that are made of two forms.

    Parameters
    ----------
    forms : "asked", or "asked" and "reversed".
    logits : `[form, ...]`.

    Returns
    -------
    Score -> `[...]`: those of the forms and, where there are both, "principled" (half their difference) and
    "string" (their mean), as in `probes.battery`.

    Example
    -------
    >>> {name: float(of) for name, of in derived(["asked", "reversed"], np.array([3.0, 1.0])).items()}
    {'asked': 3.0, 'reversed': 1.0, 'principled': 1.0, 'string': 2.0}
    """
    scores = dict(zip(forms, logits, strict=True))
    if len(forms) == 2:
        asked, turned = logits
        scores |= {"principled": (asked - turned) / 2, "string": (asked + turned) / 2}
    return scores
