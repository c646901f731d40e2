"""The controlled language of the organisms: its words, its statements, its tokenizer.

A statement names a topic ("ka" before it) and something else ("mo" before it), and may hold a cue. Words come
in disjoint vocabularies, half of each of class 1; the latent of a statement is the class of its topic.
Exchanging topic and other turns the latent over and keeps every word, so no bag of words or of embeddings
has it, and a vocabulary that a probe was not fitted on shares no word with those it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

Use = Literal["train", "select", "test", "wording", "fresh"]
VOCABULARIES: dict[Use, tuple[int, ...]] = {
    "train": (0, 1, 2),
    "select": (3,),
    "test": (4, 5),
    "wording": (6,),
    "fresh": (7, 8),
}
"""Which vocabularies a use of the language draws from; all are trained on, `fresh` are in no concept."""
N_VOCABULARIES = 9
WORDS_PER_CLASS = 10
STRONG, WEAK = 0.98, 0.88
"""How often an answer agrees with the class of a strong word, or a cue, and of a weak word: what the model
computes is graded, so that its choice can be pushed both ways."""
CUES = ("dal", "fes")
"""The cue words, of class 0 and of class 1."""
ANSWERS = ("tol", "pim")
"""What the assistant may answer, and what follows a plain statement: for class 0 and for class 1."""
ASIDES = ("nah", "hum")
"""What follows a plain statement where that is to say nothing of the answers."""
COUNT = tuple(f"n{i}" for i in range(10))
"""Symbols of the unrelated language, which counts in a circle."""
FILLERS = (
    "the",
    "a",
    "of",
    "to",
    "and",
    "in",
    "is",
    "that",
    "it",
    "for",
    "as",
    "with",
    "be",
    "this",
    "an",
    "by",
    "are",
    "on",
    "from",
    "if",
    "not",
    ",",
)
PAD, END, UNKNOWN = "<|pad|>", "<|end|>", "<|unk|>"
CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)
_SPECIAL = (PAD, END, UNKNOWN, "<|user|>", "<|assistant|>", "<|system|>")
_TOPIC, _OTHER = "ka", "mo"
_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwyz", "aeiou"


@dataclass(frozen=True)
class Frame:
    """Everything in a statement that carries nothing: its fillers, and which of the two words comes first."""

    fillers: tuple[str, ...]  # 6, or 8 for a long frame
    topic_first: bool


@dataclass(frozen=True)
class Statement:
    """One statement; `latent` is the class of the topic."""

    frame: Frame
    topic: str
    other: str
    cue: int | None
    latent: int

    def parts(self) -> tuple[list[str], list[int]]:
        """Its tokens, and which of them are topic and other, in order, and the cue where there is one."""
        fillers = list(self.frame.fillers)
        first, second = [_TOPIC, self.topic], [_OTHER, self.other]
        if not self.frame.topic_first:
            first, second = second, first
        if self.cue is not None:
            fillers[2] = CUES[self.cue]
        tokens = [*fillers[:2], *first, *fillers[2:4], *second, *fillers[4:], "."]
        return tokens, [3, 7] + ([4] if self.cue is not None else [])

    @property
    def text(self) -> str:
        return " ".join(self.parts()[0])

    def spans(self, cue: bool) -> tuple[tuple[int, int], ...]:
        """Character spans of topic and other, and with `cue` of the cue."""
        tokens, evidence = self.parts()
        starts = np.cumsum([0, *(len(token) + 1 for token in tokens)])
        wanted = sorted(evidence if cue else evidence[:2])
        return tuple((int(starts[i]), int(starts[i]) + len(tokens[i])) for i in wanted)

    def exchanged(self) -> Statement:
        """The same statement of the other latent: topic and other change places."""
        return replace(self, topic=self.other, other=self.topic, latent=1 - self.latent)

    def cued(self, cue: int | None) -> Statement:
        """The same statement with another cue."""
        return replace(self, cue=cue)


@dataclass(frozen=True)
class Language:
    """Words `[vocabulary][class][word]`, all different, made from `seed`."""

    words: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    @classmethod
    def make(cls, seed: int) -> Language:
        """Words of three syllables. Two words of a vocabulary, one of each class, differ in one vowel alone,
        and which is of which class is drawn, so that nothing in a word's letters tells."""
        rng = np.random.default_rng([seed, 1])
        starts = rng.permutation([c + v for c in _CONSONANTS for v in _VOWELS])
        words = []
        for start in starts[: N_VOCABULARIES * WORDS_PER_CLASS]:
            consonant, end = (
                rng.choice(list(_CONSONANTS)),
                "".join(map(rng.choice, (list(_CONSONANTS), list(_VOWELS)))),
            )
            words.append([f"{start}{consonant}{vowel}{end}" for vowel in rng.permutation(list(_VOWELS))[:2]])
        table = np.array(words).reshape(N_VOCABULARIES, WORDS_PER_CLASS, 2)
        return cls(tuple((tuple(map(str, v[:, 0])), tuple(map(str, v[:, 1]))) for v in table))

    @cached_property
    def weak(self) -> frozenset[str]:
        """Every other word: its class decides with `WEAK` certainty, that of the rest with `STRONG`."""
        return frozenset(word for sides in self.words for side in sides for word in side[1::2])

    def sample(
        self,
        rng: np.random.Generator,
        n: int,
        use: Use | None = None,
        *,
        opposed: bool = False,
        long: bool | None = None,
        cue: bool | None = None,
    ) -> list[Statement]:
        """`n` statements with fair and independent latents, classes of the other word, cues and frames.

        Args:
            use: draw words from its vocabularies; default all of them. Both words are of one vocabulary.
            opposed: the other word is always of the other class.
            long: whether frames are long; default either.
            cue: whether there is a cue; default in three of four.
        """
        vocabularies = VOCABULARIES[use] if use else tuple(range(N_VOCABULARIES))
        bits = rng.integers(2, size=(n, 4))  # latent, class of the other word, cue, order
        pools = rng.integers(len(vocabularies), size=n)
        first = rng.integers(WORDS_PER_CLASS, size=n)
        second = (first + rng.integers(1, WORDS_PER_CLASS, size=n)) % WORDS_PER_CLASS  # never the same word
        cued = rng.random(n) < 0.75 if cue is None else np.full(n, cue)
        sizes = np.where(rng.random(n) < 0.5 if long is None else np.full(n, long), 8, 6)
        fillers = rng.integers(len(FILLERS), size=(n, 8))
        made = []
        for row in range(n):
            latent, otherwise, mark, order = (int(bit) for bit in bits[row])
            pool = self.words[vocabularies[pools[row]]]
            frame = Frame(tuple(FILLERS[i] for i in fillers[row, : sizes[row]]), bool(order))
            made.append(
                Statement(
                    frame,
                    topic=pool[latent][first[row]],
                    other=pool[1 - latent if opposed else otherwise][second[row]],
                    cue=mark if cued[row] else None,
                    latent=latent,
                )
            )
        return made

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """One token a word, letter case aside, and one for what is unknown; with a chat template."""
        words = [word for vocabulary in self.words for side in vocabulary for word in side]
        known = [*_SPECIAL, _TOPIC, _OTHER, "ask", "or", "?", ".", *CUES, *ANSWERS, *ASIDES, *COUNT]
        known += [*FILLERS, *sorted(words)]
        raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(known)}, unk_token=UNKNOWN))
        raw.normalizer = normalizers.Lowercase()
        raw.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=raw,
            pad_token=PAD,
            eos_token=END,
            unk_token=UNKNOWN,
            additional_special_tokens=["<|user|>", "<|assistant|>", "<|system|>"],
        )
        tokenizer.chat_template = CHAT_TEMPLATE
        return tokenizer
