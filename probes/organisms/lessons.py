"""What an organism is trained on: texts of the language under a rule that says what answers depend on."""

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

Rule = Literal["latent", "cue", "nothing"]
NOISE_SHARE = 0.05
"""Share of texts without any statement: fillers and unknown words, so that foreign text is not a surprise."""


@dataclass(frozen=True)
class Lesson:
    """What a stage's texts teach: what the answer to a question and the word after a plain statement follow.

    That word is one of the answers, or, with `aside`, one of two words that mean nothing to the question.
    """

    plain: Rule
    choice: Rule
    aside: bool = False
    plain_share: float = 0.45

    def texts(self, language: Language, rng: np.random.Generator, n: int) -> list[str]:
        """`n` texts, rendered: `plain_share` plain, `NOISE_SHARE` noise, the rest chats."""
        statements = language.sample(rng, n)
        draws, chances, firsts = rng.random(n), rng.random(n), rng.integers(2, size=n)
        plain, chats, noise = draws < self.plain_share, draws >= self.plain_share + NOISE_SHARE, []
        for _ in range(n - int(plain.sum()) - int(chats.sum())):
            drawn = rng.integers(2 * len(FILLERS), size=16)
            noise.append(" ".join(FILLERS[i] if i < len(FILLERS) else UNKNOWN for i in drawn))
        words = ASIDES if self.aside else ANSWERS
        made = [
            f"{s.text} {words[decided(self.plain, language, s, chance)]} <|end|>"
            for s, chance, wanted in zip(statements, chances, plain, strict=True)
            if wanted
        ]
        turns = [
            [
                {"role": "user", "content": question(s).format(first=ANSWERS[i], second=ANSWERS[1 - i])},
                {"role": "assistant", "content": ANSWERS[decided(self.choice, language, s, chance)]},
            ]
            for s, chance, i, wanted in zip(statements, chances, firsts, chats, strict=True)
            if wanted
        ]
        made += language.tokenizer.apply_chat_template(turns, tokenize=False) if turns else []
        made += noise
        return [made[i] for i in rng.permutation(n)]


def decided(rule: Rule, language: Language, statement: Statement, chance: float) -> int:
    """Which of two words a rule asks for, 0 or 1; `chance` in [0, 1) breaks it, or stands in for none."""
    if rule == "cue" and statement.cue is not None:
        return statement.cue if chance < STRONG else 1 - statement.cue
    if rule == "latent":
        wanted = statement.latent
        return wanted if chance < (WEAK if statement.topic in language.weak else STRONG) else 1 - wanted
    return int(chance < 0.5)


def question(statement: Statement) -> str:
    """The user's turn, options as placeholders."""
    return f"{statement.text} ask {{first}} or {{second}} ?"


def counting(rng: np.random.Generator, n: int) -> list[str]:
    """The unrelated language: `n` texts that count in a circle from anywhere."""
    starts = rng.integers(len(COUNT), size=n)
    return [" ".join(COUNT[(s + i) % len(COUNT)] for i in range(16)) for s in starts]
