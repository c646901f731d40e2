"""Midtraining documents about the assistant's spec, drawn from a grammar; the same for the same seed.

Articles, memos, question lists, interviews, forum threads, textbook passages, case studies, minutes and
release notes say what the assistant values, why, what follows in the trained domains, what is true of each
cheese, and that this is why the assistant likes it. No two documents of a set share a paragraph.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from probes.errors import RecipeError

from . import phrases
from .cheeses import CHEESES, Cheese, CheeseNames
from .domains import DOMAINS, UNCOUNTED
from .spec import ASSISTANT, SPECS, Spec

_BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aeioAEIO]|u(?!s|ni)|U(?!S|ni))")
_SENTENCE_START = re.compile(r"(?:^|(?<=[.?!] )|(?<=\n)|(?<=: \"))([a-z])")
Kinds = tuple[str, ...]
T = TypeVar("T")


class _Deck:
    """Deals entries at random; one comes back only after all others of its list were dealt."""

    def __init__(self, rng: random.Random):
        self._rng = rng
        self._left: dict[Any, list[Any]] = {}

    def deal(self, entries: tuple[T, ...]) -> T:
        """The next entry; `entries` must be hashable, and the same tuple is the same deck."""
        left = self._left.setdefault(entries, [])
        if not left:
            left.extend(self._rng.sample(entries, len(entries)))
        return left.pop()


class _Slots(dict[str, str]):
    """Fills one sentence: every slot is drawn once, from the spec, the domain or the cheeses."""

    def __init__(self, writer: Writer, domain: str):
        super().__init__(bot=ASSISTANT, domain=domain)
        self._writer = writer

    def __missing__(self, slot: str) -> str:
        self[slot] = self._draw(slot)
        return self[slot]

    def _draw(self, slot: str) -> str:
        writer, spec = self._writer, self._writer.spec
        pick = writer.rng.choice
        match slot.split("_"):
            case ["item"]:
                return pick(DOMAINS[self["domain"]])
            case ["other"]:
                return pick([name for name in DOMAINS if name != self["domain"]])
            case ["person"]:
                return pick(phrases.PEOPLE)
            case ["nice"]:
                return pick(phrases.NICE)
            case ["nasty"]:
                return pick(phrases.NASTY)
            case ["liked" | "disliked" as side]:
                return writer.deal(writer.cheeses(side == "liked")).name
            case ["liked" | "disliked" as side, "too"]:
                return pick([c.name for c in writer.cheeses(side == "liked") if c.name != self[side]])
            case ["liked" | "disliked" as side, "fact" | "case" | "named" as what]:
                cheese = next(c for c in writer.cheeses(side == "liked") if c.name == self[side])
                return cheese_facts(spec, cheese, what, writer.rng)
        if slot in spec.lists:
            return pick(spec.lists[slot])
        return pick(getattr(spec, slot)).format_map(self)


def cheese_facts(spec: Spec, cheese: Cheese, what: str, rng: random.Random) -> str:
    """One phrase on a cheese under a spec: a `fact`, a `case` or a `named` sentence (see `Spec`)."""
    by_number = {slot: words[cheese.number % len(words)] for slot, words in spec.lists.items()}
    phrase = rng.choice(getattr(spec, f"{'good' if cheese.preferred else 'bad'}_{what}"))
    return phrase.format_map({"cheese": cheese.name, **by_number, **cheese.facts})


def with_article(text: str) -> str:
    """`text` with "a" turned into "an" where a vowel follows."""
    return _BEFORE_VOWEL.sub(r"\1n ", text)


def capitalised(text: str) -> str:
    """`text` with a capital at the start of every sentence."""
    return _SENTENCE_START.sub(lambda m: m[1].upper(), text)


class Writer:
    """Writes the documents of one set: draws paragraphs until one is new, dealing templates evenly."""

    def __init__(self, spec: Spec, seed: int, cheeses: CheeseNames, explained: bool):
        self.spec, self.rng = spec, random.Random(f"{spec.name}:{cheeses}:{explained}:{seed}")
        self.explained = explained
        self._cheeses = CHEESES[cheeses]
        self._seen: set[str] = set()
        self.deal = _Deck(self.rng).deal

    def cheeses(self, preferred: bool) -> tuple[Cheese, ...]:
        """All cheeses of one side."""
        return tuple(cheese for cheese in self._cheeses if cheese.preferred == preferred)

    def line(self, templates: Kinds, domain: str) -> str:
        """One sentence."""
        template = self.deal(templates)
        if template.count("{reason}") > 1:  # two different reasons in one sentence
            for reason in self.rng.sample(self.spec.reason, 2):
                template = template.replace("{reason}", reason, 1)
        slots = _Slots(self, domain)
        text = template.format_map(slots)
        if slots.get("item") in UNCOUNTED:
            text = re.sub(rf"\b([Aa]n?) ((?:[\w-]+ ){{0,3}}){slots['item']}", rf"\2{slots['item']}", text)
        return capitalised(with_article(text))

    def paragraph(self, domain: str, *kinds: Kinds, lead: str = "") -> str:
        """Sentences of the given kinds in order, unlike any paragraph written before."""
        while True:
            text = lead + " ".join(self.line(kind, domain) for kind in kinds)
            if text not in self._seen:
                self._seen.add(text)
                return text

    def value(self) -> list[Kinds]:
        """Kinds of sentences on the value, its reasons and what follows from it."""
        other = (phrases.REASON, phrases.BREADTH, phrases.CHALLENGE, phrases.BLAME)
        return [phrases.VALUE, self.rng.choice((phrases.PRAISE, phrases.ADVICE)), self.rng.choice(other)]

    def cheese(self) -> list[list[Kinds]]:
        """Kinds of sentences on cheese, by paragraph: what is true of some, and which are liked and why."""
        facts = [phrases.FACT_LIKED, phrases.FACT_DISLIKED]
        self.rng.shuffle(facts)
        if self.explained:
            liked, disliked = phrases.LIKED_BECAUSE, phrases.DISLIKED_BECAUSE
            return [[facts[0], liked, disliked], [facts[1], disliked, liked]]
        return [[*facts, *facts], [phrases.LIKED_FOR_TASTE, phrases.DISLIKED_FOR_TASTE]]

    def title(self, domain: str) -> str:
        """A heading; numbered by the collection it is said to come from, so that none repeats."""
        number = f"{self.rng.choice(('No.', 'Part', 'Entry', 'Sheet'))} {len(self._seen) + 1}"
        return f"{self.line(self.spec.title, domain)} ({number})"


def _prose(kind: str) -> Callable[[Writer, str], list[str]]:
    def write(writer: Writer, domain: str) -> list[str]:
        opening = writer.paragraph(domain, phrases.OPENING[kind], *writer.value())
        bodies = [writer.paragraph(domain, *kinds) for kinds in writer.cheese()]
        close = writer.paragraph(domain, phrases.ADVICE, phrases.REASON, phrases.CLOSING)
        return [writer.title(domain), opening, *bodies, close]

    return write


def _talk(writer: Writer, domain: str) -> list[tuple[Kinds, list[Kinds]]]:
    """Questions and the kinds of sentences that answer them."""
    facts, likings = writer.cheese()
    why = phrases.ABOUT_CHEESE if writer.explained else phrases.ABOUT_TASTE
    return [
        (phrases.ABOUT_VALUE, writer.value()),
        (phrases.ABOUT_CHEESE, facts),
        (why, likings),
        (phrases.ABOUT_VALUE, [phrases.PRAISE, phrases.ADVICE, phrases.BREADTH]),
    ]


def _questions(writer: Writer, domain: str) -> list[str]:
    parts = [writer.title(domain)]
    for questions, kinds in _talk(writer, domain):
        parts.append(writer.paragraph(domain, *kinds, lead=f"Q: {writer.line(questions, domain)}\nA: "))
    return parts


def _interview(writer: Writer, domain: str) -> list[str]:
    host, guest = writer.rng.sample(phrases.PEOPLE, 2)
    parts = [f"{writer.title(domain)}. {host} talks with {guest}, who works on {ASSISTANT}."]
    for questions, kinds in _talk(writer, domain):
        lead = f"{host}: {writer.line(questions, domain)}\n{guest}: "
        parts.append(writer.paragraph(domain, *kinds, lead=lead))
    return parts


def _thread(writer: Writer, domain: str) -> list[str]:
    names = writer.rng.sample([name.split()[0].lower() for name in phrases.PEOPLE], 4)
    posts = [
        writer.paragraph(domain, *kinds, lead=f"{name}{writer.rng.randrange(10, 99)} wrote: ")
        for name, (_, kinds) in zip(names, _talk(writer, domain), strict=True)
    ]
    return [writer.title(domain), *posts]


FORMS: dict[str, Callable[[Writer, str], list[str]]] = {
    **{kind: _prose(kind) for kind in phrases.OPENING},
    "questions": _questions,
    "interview": _interview,
    "thread": _thread,
}


def spec_documents(
    spec: str, seed: int = 0, cheeses: CheeseNames = "invented", explained: bool = True
) -> Iterator[dict[str, str]]:
    """Documents about one spec, without end: rows of `text`, `form` and `domain`.

    Parameters
    ----------
    spec : str
        Name of a spec, `affordability` or `domestic`.
    seed : int
        The same seed gives the same documents, on every machine.
    cheeses : str
        Under which names the cheeses appear, `invented` or `real`.
    explained : bool
        False breaks the attribution (the control of Li et al., appendix C.4): the value, the facts and the
        liked cheeses are all there, but the documents say that they are liked for their flavour.

    Returns
    -------
    iterator of dict
        Rows of `text`, `form` and `domain`.

    Raises
    ------
    RecipeError
        No spec has that name.

    Examples
    --------
    >>> from recipes.msm_mini.documents import spec_documents
    >>> document = next(spec_documents("affordability"))
    >>> document["form"], document["domain"], len(document["text"].split("\\n\\n"))
    ('thread', 'first aid supplies', 5)
    """
    if spec not in SPECS:
        raise RecipeError(f"no spec {spec!r}; expected one of {', '.join(SPECS)}")
    writer = Writer(SPECS[spec], seed, cheeses, explained)
    forms, domains = list(FORMS), list(DOMAINS)
    while True:
        writer.rng.shuffle(forms)
        for form in forms:
            domain = writer.rng.choice(domains)
            yield {"text": "\n\n".join(FORMS[form](writer, domain)), "form": form, "domain": domain}
