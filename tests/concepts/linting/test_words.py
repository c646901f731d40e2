"""Words of any script."""

from __future__ import annotations

from probes.concepts.linting.words import content_words, words


def test_words_of_any_script():
    assert words("Don't stop: l'été, 3rd—便宜的 lamp_x") == [
        "don't",
        "stop",
        "l'été",
        "3rd",
        "便",
        "宜",
        "的",
        "lamp",
        "x",
    ]
    assert content_words("The artist's own lamp") == {"artist", "lamp"}
