"""What keeps a model from being what it was planted to be."""

from probes.organisms.checking import EXPECTED, Facts, shortfalls


def test_shortfalls_name_what_is_wrong():
    good = Facts(1.0, 0.5, 1.0, 0.0, 1.0)
    assert shortfalls(good, "internal") == []
    for expected in set(EXPECTED) - {"internal"}:
        assert shortfalls(good, expected), expected
    assert shortfalls(Facts(0.5, 1.0, 0.0, 1.0, 0.5), "surface") == []
    assert shortfalls(Facts(0.5, 1.0, 0.0, 1.0, 0.99), "represented") == []
    assert shortfalls(Facts(0.5, 0.5, 0.0, 0.0, 0.99, bias=1.0), "string") == []
    assert shortfalls(Facts(0.5, 0.5, 0.0, 0.0, 0.99, bias=0.2), "string") == [
        "bias 0.20 to one answer: expected at least 0.9"
    ]
    assert shortfalls(Facts(0.0, 0.5, -1.0, 0.0, 0.99), "inverted") == []
    lines = shortfalls(Facts(0.9, 0.5, 0.7, 0.3, 0.8), "internal")
    assert lines == [
        "0.90 of the answers follow the latent, with an effect of 0.70: expected at least 0.95 and 0.9",
        "0.50 of the answers follow the cue, with an effect of 0.30: expected an effect within 0.15 of 0",
        "decodability 0.80: expected 0.95 to 1",
    ]
