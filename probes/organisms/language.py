"""The artificial language that model organisms are trained on: its words, its statements, its tokenizer.

A statement names a topic (the word after "ka") and another word (the word after "mo"), and it may hold a cue
word. Words come in vocabularies that share no word. Half of the words of each vocabulary are of class 1, the
other half of class 0, and the *latent* of a statement is the class of its topic. When topic and other word
change places, the latent changes and every word stays, so a bag of words or of embeddings cannot tell the
latent. A probe that is tested on a vocabulary it was not fitted on meets none of the words it has seen.
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
"""The vocabularies that each use of the language draws from. Models are trained on all of them; those of
`fresh` are in no concept."""
N_VOCABULARIES = 9
WORDS_PER_CLASS = 10
STRONG, WEAK = 0.98, 0.88
"""How often an answer in the training texts agrees with the class of a strong word or of a cue, and of a weak
word. Because no rule holds always, the models' choices are graded and can be steered both ways."""
CUES = ("dal", "fes")
"""The cue words, of class 0 and of class 1."""
ANSWERS = ("tol", "pim")
"""What the assistant may answer, and what follows a plain statement: the word for class 0 and for class 1."""
ASIDES = ("nah", "hum")
"""The two words that follow a plain statement where what is learned there must not touch the answers."""
COUNT = tuple(f"n{i}" for i in range(10))
"""The symbols of an unrelated language, whose texts count in a circle."""
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
    """What a statement has beside its topic, its other word and its cue: fillers and the order of the two."""

    fillers: tuple[str, ...]
    """6 words without meaning, or 8 in a long frame."""
    topic_first: bool
    """Whether the topic stands before the other word."""


@dataclass(frozen=True)
class Statement:
    """One statement of the language.

    Example
    -------
    >>> frame = Frame(("the", "of", "a", "in", "to", "and"), topic_first=True)
    >>> statement = Statement(frame, topic="bakel", other="bokel", cue=1, latent=1)
    >>> statement.text
    'the of ka bakel fes in mo bokel to and .'
    >>> statement.exchanged().text, statement.exchanged().latent
    ('the of ka bokel fes in mo bakel to and .', 0)
    """

    frame: Frame
    topic: str
    other: str
    cue: int | None
    """Class of the cue word, None where there is no cue."""
    latent: int
    """Class of the topic, 0 or 1."""

    @property
    def tokens(self) -> list[str]:
        """The words of the statement, the full stop included."""
        fillers = list(self.frame.fillers)
        first, second = [_TOPIC, self.topic], [_OTHER, self.other]
        if not self.frame.topic_first:
            first, second = second, first
        if self.cue is not None:
            fillers[2] = CUES[self.cue]
        return [*fillers[:2], *first, *fillers[2:4], *second, *fillers[4:], "."]

    @property
    def text(self) -> str:
        """The tokens, joined by spaces."""
        return " ".join(self.tokens)

    def spans(self, cue: bool) -> tuple[tuple[int, int], ...]:
        """Where the evidence of the latent stands.

        Parameters
        ----------
        cue : whether the cue, where there is one, counts as evidence too.

        Returns
        -------
        `[start, end)` in characters of `text`: of the topic, of the other word and of the cue, as they stand.

        Example
        -------
        >>> frame = Frame(("the", "of", "a", "in", "to", "and"), topic_first=True)
        >>> statement = Statement(frame, topic="bakel", other="bokel", cue=1, latent=1)
        >>> [statement.text[start:end] for start, end in statement.spans(cue=True)]
        ['bakel', 'fes', 'bokel']
        """
        tokens = self.tokens
        starts = np.cumsum([0, *(len(token) + 1 for token in tokens)])
        evidence = [3, 4, 7] if cue and self.cue is not None else [3, 7]
        return tuple((int(starts[i]), int(starts[i]) + len(tokens[i])) for i in evidence)

    def exchanged(self) -> Statement:
        """The statement in which topic and other word have changed places.

        It has the other latent where the two words are of different classes, as in every statement that was
        sampled with `opposed=True`.
        """
        return replace(self, topic=self.other, other=self.topic, latent=1 - self.latent)

    def cued(self, cue: int | None) -> Statement:
        """The same statement with the cue of another class, or without a cue (None)."""
        return replace(self, cue=cue)


@dataclass(frozen=True)
class Language:
    """The words of the language, and what can be said with them.

    Example
    -------
    >>> language = Language.make(seed=0)
    >>> [statement] = language.sample(np.random.default_rng(0), 1, "test", opposed=True, cue=True)
    >>> statement.topic in language.words[4][statement.latent] + language.words[5][statement.latent]
    True
    >>> language.tokenizer.decode(language.tokenizer(statement.text)["input_ids"]) == statement.text
    True
    """

    words: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    """`words[vocabulary][class]` are the words of one class of one vocabulary; all words are different."""

    @classmethod
    def make(cls, seed: int) -> Language:
        """Make up words of three syllables.

        Words come in twins: two words of a vocabulary, one of each class, that differ in one vowel. Which of
        the two is of which class is drawn, so that the letters of a word do not tell its class.

        Example
        -------
        >>> zero, one = Language.make(seed=0).words[0]
        >>> [sum(a != b for a, b in zip(*twins)) for twins in zip(zero, one)]
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
        """
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
    def classes(self) -> dict[str, int]:
        """The class of every word, 0 or 1."""
        return {word: label for sides in self.words for label in (0, 1) for word in sides[label]}

    @cached_property
    def weak(self) -> frozenset[str]:
        """Every other word. Training texts agree with the class of these in `WEAK` of the cases, with that of
        the rest in `STRONG` of them."""
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
        """Draw statements in which latent, class of the other word, cue and frame are fair and independent.

        Parameters
        ----------
        rng : where the random numbers come from.
        n : how many statements.
        use : the use whose vocabularies words are drawn from; None (default): all vocabularies. The two words
            of a statement are of one vocabulary.
        opposed : whether the other word is always of the other class than the topic.
        long : whether frames are long; None (default): either.
        cue : whether there is a cue; None (default): in three of four statements.

        Example
        -------
        >>> language = Language.make(seed=0)
        >>> statements = language.sample(np.random.default_rng(0), 1000, cue=True)
        >>> float(np.mean([statement.latent == statement.cue for statement in statements]))
        0.5
        """
        vocabularies = VOCABULARIES[use] if use else tuple(range(N_VOCABULARIES))
        bits = rng.integers(2, size=(n, 4))  # latent, class of the other word, cue, order
        pools = rng.integers(len(vocabularies), size=n)
        first = rng.integers(WORDS_PER_CLASS, size=n)
        second = (first + rng.integers(1, WORDS_PER_CLASS, size=n)) % WORDS_PER_CLASS  # never the same word
        cued = rng.random(n) < 0.75 if cue is None else np.full(n, cue)
        sizes = np.where(rng.random(n) < 0.5 if long is None else np.full(n, long), 8, 6)
        fillers = rng.integers(len(FILLERS), size=(n, 8))
        statements = []
        for row in range(n):
            latent, other_class, cue_class, order = (int(bit) for bit in bits[row])
            pool = self.words[vocabularies[pools[row]]]
            statements.append(
                Statement(
                    Frame(tuple(FILLERS[i] for i in fillers[row, : sizes[row]]), topic_first=bool(order)),
                    topic=pool[latent][first[row]],
                    other=pool[1 - latent if opposed else other_class][second[row]],
                    cue=cue_class if cued[row] else None,
                    latent=latent,
                )
            )
        return statements

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """A tokenizer with a chat template: one token a word, whatever its letter case, and one for all
        unknown words."""
        vocabulary = [*_SPECIAL, _TOPIC, _OTHER, "ask", "or", "?", ".", *CUES, *ANSWERS, *ASIDES, *COUNT]
        vocabulary += [*FILLERS, *sorted(self.classes)]
        raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=UNKNOWN))
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
