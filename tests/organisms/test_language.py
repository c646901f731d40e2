"""The language: its words, its statements and what is balanced in them."""

import numpy as np

from probes.organisms.language import Language

LANGUAGE = Language.make(0)


def test_words_are_disjoint_and_twins_differ_in_one_letter():
    words = [w for sides in LANGUAGE.words for side in sides for w in side]
    assert len(set(words)) == len(words) == 180
    for zero, one in LANGUAGE.words:
        assert all(
            sum(a != b for a, b in zip(x, y, strict=True)) == 1 for x, y in zip(zero, one, strict=True)
        )
    assert Language.make(0) == LANGUAGE != Language.make(1)


def test_exchange_turns_the_latent_and_keeps_the_words():
    for s in LANGUAGE.sample(np.random.default_rng(0), 200, opposed=True):
        other = s.exchanged()
        assert sorted(s.text.split()) == sorted(other.text.split())
        assert other.latent == 1 - s.latent
        assert other.exchanged() == s
        classes = {w: c for sides in LANGUAGE.words for c, side in enumerate(sides) for w in side}
        assert classes[s.topic] == s.latent != classes[s.other]
        named = [s.text[a:b] for a, b in s.spans(cue=True)]
        assert {s.topic, s.other} <= set(named)
        assert len(named) == (3 if s.cue is not None else 2)


def test_samples_are_balanced_and_independent():
    drawn = LANGUAGE.sample(np.random.default_rng(1), 8000, cue=True)
    classes = {w: c for sides in LANGUAGE.words for c, side in enumerate(sides) for w in side}
    table = np.array([[s.latent, classes[s.other], s.cue, s.frame.topic_first] for s in drawn])
    assert np.abs(table.mean(0) - 0.5).max() < 0.03
    assert np.abs(np.corrcoef(table.T) - np.eye(4)).max() < 0.04
