"""What the tests of the embedded recipe's data share."""

import re

import pytest

HELD_OUT = [
    *("art", "arts", "artwork", "painting", "paintings", "sculpture", "print", "prints", "gallery", "museum"),
    *("poster", "portrait", "car", "cars", "bus", "truck", "bicycle", "bike", "train", "trains", "vehicle"),
    *("vehicles", "scooter", "motorcycle", "boat", "sedan", "transport", "book", "books", "novel", "novels"),
    *("paperback", "dictionary", "poetry", "magazine", "clothing", "clothes", "shirt", "coat", "jacket"),
    *("shoe", "shoes", "dress", "jeans", "sweater", "hat", "music", "guitar", "piano", "violin", "drum"),
    *("flute", "song", "instrument", "instruments", "ball", "racket", "tennis", "golf", "ski", "skis"),
    *("sport", "sports", "chair", "table", "sofa", "desk", "bed", "furniture", "couch", "shelf", "dresser"),
]


@pytest.fixture(scope="session")
def held_out():
    """A pattern of the words that name domains on which results are reported."""
    return re.compile(rf"\b({'|'.join(HELD_OUT)})\b", re.IGNORECASE)
