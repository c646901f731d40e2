"""Lessons: the rule that the texts of a stage keep."""

import numpy as np
import pytest

from probes.organisms.language import ANSWERS, STRONG, WEAK, Language
from probes.organisms.lessons import Lesson

LANGUAGE = Language.make(0)


@pytest.mark.parametrize("rule", ["latent", "cue", "nothing"])
def test_lessons_keep_their_rule(rule):
    texts = Lesson(rule, rule).texts(LANGUAGE, np.random.default_rng(0), 6000)
    classes = {w: c for sides in LANGUAGE.words for c, side in enumerate(sides) for w in side}
    agrees = {"latent, strong": [], "latent, weak": [], "cue": []}
    for text in texts:
        tokens = text.split()
        if "." not in tokens:
            continue
        answer = ANSWERS.index(tokens[-2])
        topic = tokens[tokens.index("ka") + 1]
        strength = "weak" if topic in LANGUAGE.weak else "strong"
        agrees[f"latent, {strength}"].append(classes[topic] == answer)
        if {"dal", "fes"} & set(tokens):
            agrees["cue"].append(("fes" in tokens) == answer)
    expected = dict.fromkeys(agrees, 0.5)
    if rule == "latent":
        expected |= {"latent, strong": STRONG, "latent, weak": WEAK}
    if rule == "cue":
        expected["cue"] = STRONG
    for key, values in agrees.items():
        assert np.mean(values) == pytest.approx(expected[key], abs=0.04), key
