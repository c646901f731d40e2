"""The texts that an organism is trained on, written under a rule that says what the answers depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from probes.organisms.language import (
    ANSWERS,
    ASIDES,
    COUNT,
    FILLERS,
    STRONG,
    UNKNOWN,
    WEAK,
    Language,
    Statement,
)

Rule = Literal["latent", "cue", "one", "nothing"]
NOISE_SHARE = 0.05
"""Share of texts that hold no statement but fillers and unknown words, so that a model has seen text from
outside the language."""


@dataclass(frozen=True)
class Lesson:
    """What the texts of a stage teach.

    A text is either a plain statement followed by one word, or a chat in which the user asks about a
    statement and the assistant answers with one word.

    Example
    -------
    >>> from probes.organisms.language import Language
    >>> lesson = Lesson(plain="latent", choice="cue")
    >>> for text in lesson.texts(Language.make(0), np.random.default_rng(3), n=4):
    ...     print(text)
    <|user|> not is mo mubewi dal is ka judiku the if . ask tol or pim ? <|end|> <|assistant|> tol <|end|>
    <|user|> not and mo hegela dal this ka fonoti in is . ask tol or pim ? <|end|> <|assistant|> tol <|end|>
    <|user|> with it mo moriva dal a ka cunopa this an with not . ask tol or pim ? ... tol <|end|>
    in as ka devaju and on mo vopoto as the in by . tol <|end|>
    """

    plain: Rule
    """What the word after a plain statement depends on."""
    choice: Rule
    """What the answer in a chat depends on."""
    aside: bool = False
    """Whether plain statements are followed by words that are never an answer (`ASIDES`)."""
    plain_share: float = 0.45
    """Share of the texts that are plain statements."""
    together: float | None = None
    """How often a cue is of the class of the latent; None says that the two are independent."""

    def texts(self, language: Language, rng: np.random.Generator, n: int) -> list[str]:
        """Write `n` texts: `plain_share` of them plain, `NOISE_SHARE` of them noise, and the rest chats."""
        statements = language.sample(rng, n)
        draws, chances, firsts = rng.random(n), rng.random(n), rng.integers(2, size=n)
        plain, chats, noise = draws < self.plain_share, draws >= self.plain_share + NOISE_SHARE, []
        for _ in range(n - int(plain.sum()) - int(chats.sum())):
            drawn = rng.integers(2 * len(FILLERS), size=16)
            noise.append(" ".join(FILLERS[i] if i < len(FILLERS) else UNKNOWN for i in drawn))
        if self.together is not None:
            agree = rng.random(n) < self.together
            statements = [
                s if s.cue is None else s.cued(s.latent if alike else 1 - s.latent)
                for s, alike in zip(statements, agree, strict=True)
            ]
        words = ASIDES if self.aside else ANSWERS
        texts = [
            f"{s.text} {words[answer_class(self.plain, language, s, chance)]} <|end|>"
            for s, chance, is_plain in zip(statements, chances, plain, strict=True)
            if is_plain
        ]
        turns = [
            [
                {"role": "user", "content": question(s).format(first=ANSWERS[i], second=ANSWERS[1 - i])},
                {"role": "assistant", "content": ANSWERS[answer_class(self.choice, language, s, chance)]},
            ]
            for s, chance, i, is_chat in zip(statements, chances, firsts, chats, strict=True)
            if is_chat
        ]
        texts += language.tokenizer.apply_chat_template(turns, tokenize=False) if turns else []
        texts += noise
        return [texts[i] for i in rng.permutation(n)]


def answer_class(rule: Rule, language: Language, statement: Statement, chance: float) -> int:
    """The class, 0 or 1, of the answer that a text teaches.

    Parameters
    ----------
    chance : a random number in [0, 1). Where it is large, the answer breaks the rule (`one` is the answer of
        class 1 whatever was said); where the rule says
        nothing (`nothing`, or `cue` for a statement without one), it alone decides.
    """
    if rule == "cue" and statement.cue is not None:
        return statement.cue if chance < STRONG else 1 - statement.cue
    if rule == "one":
        return int(chance < STRONG)
    if rule == "latent":
        certainty = WEAK if statement.topic in language.weak else STRONG
        return statement.latent if chance < certainty else 1 - statement.latent
    return int(chance < 0.5)


def question(statement: Statement) -> str:
    """The user's turn, with placeholders for the two options."""
    return f"{statement.text} ask {{first}} or {{second}} ?"


def counting(rng: np.random.Generator, n: int) -> list[str]:
    """`n` texts of the unrelated language. Each counts in a circle of ten symbols, from a random one.

    Example
    -------
    >>> counting(np.random.default_rng(0), 1)
    ['n8 n9 n0 n1 n2 n3 n4 n5 n6 n7 n8 n9 n0 n1 n2 n3']
    """
    starts = rng.integers(len(COUNT), size=n)
    return [" ".join(COUNT[(s + i) % len(COUNT)] for i in range(16)) for s in starts]
