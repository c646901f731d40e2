"""Neutral texts: prose of one length, apart from what training replays."""

import pytest

from probes.concepts.neutral import manual_split, neutral_texts
from probes.errors import InputError


def test_neutral_texts_are_prose_that_training_does_not_replay():
    texts = neutral_texts()
    assert len(texts) > 40
    assert len(set(texts)) == len(texts)
    assert all(len(text.split()) == 48 and not {"`", "*"} & set(text) for text in texts)
    replayed = " ".join(manual_split()[0].split())
    plain = replayed.replace('"', "").replace("*", "").replace("`", "")
    assert not [text for text in texts if text in plain]
    assert len(neutral_texts(5)) == 5
    with pytest.raises(InputError, match="n=0 neutral texts"):
        neutral_texts(0)
