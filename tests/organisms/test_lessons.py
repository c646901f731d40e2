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


def test_one_answer_is_taught_whatever_is_said():
    texts = Lesson("latent", "one", aside=True).texts(LANGUAGE, np.random.default_rng(0), 4000)
    answers = [text.split()[-2] for text in texts if "<|assistant|>" in text]
    assert np.mean([answer == ANSWERS[1] for answer in answers]) == pytest.approx(STRONG, abs=0.02)


def test_a_cue_goes_with_the_latent_as_often_as_was_asked_for():
    texts = Lesson("latent", "cue", together=0.9).texts(LANGUAGE, np.random.default_rng(0), 4000)
    classes = {w: c for sides in LANGUAGE.words for c, side in enumerate(sides) for w in side}
    agrees = []
    for text in texts:
        tokens = text.split()
        if {"dal", "fes"} & set(tokens) and "ka" in tokens:
            agrees.append(classes[tokens[tokens.index("ka") + 1]] == ("fes" in tokens))
    assert np.mean(agrees) == pytest.approx(0.9, abs=0.02)
