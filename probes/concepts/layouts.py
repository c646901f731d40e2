"""From rows to pairs and choice items: one function for each layout of columns that people have."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from probes.concepts.fields import written_label
from probes.concepts.records import ChoiceItem, Example, Message
from probes.errors import ConceptError

Rows = Sequence[tuple[str, dict[str, Any]]]
"""(where the row stands, for error messages; the row itself)."""
Parts = tuple[list[Example], list[ChoiceItem]]
"""What becomes of the rows: examples and choice items."""

CAA_FIELDS = ("question", "answer_matching_behavior", "answer_not_matching_behavior")
PREFERENCE_FIELDS = ("question", "item1", "item2", "liked_item", "disliked_item")
OPINION_FIELDS = ("question", "answer")
LETTERS = ("A", "B")


def statements(rows: Rows) -> Parts:
    """Rows with `text` or `statement`, and `label`; documents are laid out in the same way.

    A column `pair` makes pairs of rows. Columns named like another field of `Example` are read too, and
    further columns are left out.
    """
    examples = []
    for number, (where, row) in enumerate(rows, 1):
        text = row.get("text") if "text" in row else row.get("statement")
        if text is None and "text" not in row and "statement" not in row:
            raise ConceptError(f"{where}: field 'text' is missing{meant('text', row)}: expected a text")
        group = f"row{number}" if row.get("pair") is None else row["pair"]
        fields = {"pair": group, "label": written_label(row.get("label")), "text": text or ""}
        examples.append(_made(Example, where, **fields, **_tags(row)))
    return examples, []


def chats(rows: Rows) -> Parts:
    """Rows with `messages` and `label`.

    A column `pair` makes pairs of rows; without it, chats that differ in their last turn alone make a pair.
    """
    pairing, examples = Pairing("chat"), []
    for where, row in rows:
        turns = read_messages(row.get("messages"), where)
        prompt = json.dumps([[turn.role, turn.content] for turn in turns[:-1]])
        group = (
            pairing.name(prompt, written_label(row.get("label"))) if row.get("pair") is None else row["pair"]
        )
        fields = {"pair": group, "label": written_label(row.get("label")), "messages": turns}
        examples.append(_made(Example, where, **fields, **_tags(row)))
    return examples, []


def caa(rows: Rows) -> Parts:
    """Rows of contrastive activation addition (Rimsky et al. 2023, arXiv 2312.06681).

    Each row becomes a pair of chats (question and answer; the matching answer has label 1) and a choice item.
    """
    examples, choices = [], []
    for number, (where, row) in enumerate(rows, 1):
        question, matching, other = _texts(row, CAA_FIELDS, where)
        examples += _answers(f"q{number}", question, matching, other, where)
        choices.append(
            _made(ChoiceItem, where, id=f"q{number}", prompt=question, positive=matching, negative=other)
        )
    return examples, choices


def preferences(rows: Rows) -> Parts:
    """Item comparisons of model spec midtraining (arXiv 2605.02087).

    Each row becomes a choice item that is asked in both orders, and a pair of chats: one answers with the
    liked item (label 1), the other with the disliked one.
    """
    examples, choices = [], []
    for number, (where, row) in enumerate(rows, 1):
        question, *items = _texts(row, PREFERENCE_FIELDS, where)
        named = {"item1": items[0], "item2": items[1]}
        liked, disliked = (str(named.get(value, value)) for value in items[2:])
        for field, value in (("liked_item", liked), ("disliked_item", disliked)):
            if value not in items[:2]:
                raise ConceptError(f"{where}: field {field!r} got {value!r}: expected item1 or item2")
        prompt = _with_places(question, items[0], items[1])
        item = _made(ChoiceItem, where, id=f"q{number}", prompt=prompt, positive=liked, negative=disliked)
        order = "positive_first" if liked == items[0] else "negative_first"
        examples += _answers(f"q{number}", item.ask(order)[0]["content"], liked, disliked, where)
        choices.append(item)
    return examples, choices


def opinions(rows: Rows) -> Parts:
    """Opinion questions of model spec midtraining (arXiv 2605.02087).

    `question` shows the options A and B, and `answer` is the letter of the positive one. `opinion_area`, or
    else `category`, becomes the domain.
    """
    examples, choices = [], []
    for number, (where, row) in enumerate(rows, 1):
        question, answer = _texts(row, OPINION_FIELDS, where)
        letter = answer.strip("().: ").upper()
        if letter not in LETTERS:
            raise ConceptError(f"{where}: field 'answer' got {answer!r}: expected A or B")
        other = LETTERS[1 - LETTERS.index(letter)]
        domain = row.get("opinion_area") or row.get("category")
        examples += _answers(f"q{number}", question, letter, other, where, domain=domain)
        choices.append(
            _made(
                ChoiceItem,
                where,
                id=f"q{number}",
                prompt=question,
                positive=letter,
                negative=other,
                domain=domain,
            )
        )
    return examples, choices


def completions(rows: Rows) -> Parts:
    """Rows of a prompt and two options that continue it, as minimal pairs of a text and its next word are
    written: `{"prompt": "The keys to the cabinet", "positive": " are", "negative": " is"}`.

    Each row becomes a choice item: a completion, or a chat where the prompt shows {first} and {second}. Its
    pair is the prompt (label 1) and the `reversed` prompt (label 0) where a row has that ("The key to the
    cabinets"), and otherwise the prompt with either option. Tags are read too.
    """
    examples, choices = [], []
    for number, (where, row) in enumerate(rows, 1):
        name = f"q{number}" if row.get("id") is None else row["id"]
        tags = _tags(row)
        fields = {field: row.get(field) for field in ("prompt", "positive", "negative", "reversed")}
        shows = "{first}" in str(row.get("prompt"))
        completion = row["completion"] if row.get("completion") is not None else not shows
        item_tags = {field: tags[field] for field in tags if field in ChoiceItem.model_fields}
        item = _made(ChoiceItem, where, id=name, completion=completion, **fields, **item_tags)
        choices.append(item)
        if not completion:
            question = item.ask()[-1]["content"]
            examples += _answers(f"{name}", question, item.positive, item.negative, where, **tags)
            continue
        texts = [f"{item.prompt}{item.positive}", f"{item.prompt}{item.negative}"]
        texts = [item.prompt, item.reversed] if item.reversed is not None else texts
        for label, text in zip((1, 0), texts, strict=True):
            examples.append(_made(Example, where, pair=name, label=label, text=text, **tags))
    return examples, choices


def sentences(rows: Rows) -> Parts:
    """Rows of a good and a bad sentence, as BLiMP has them (Warstadt et al. 2020, arXiv 1912.00582):
    `sentence_good` and `sentence_bad`, or `good` and `bad`.

    Each row becomes a pair (the good sentence has label 1) and a choice item that scores both as whole
    sentences.
    """
    examples, choices = [], []
    for number, (where, row) in enumerate(rows, 1):
        names = [f"sentence_{kind}" if f"sentence_{kind}" in row else kind for kind in ("good", "bad")]
        good, bad = _texts(row, names, where)
        tags = _tags(row)
        for label, text in ((1, good), (0, bad)):
            examples.append(_made(Example, where, pair=f"s{number}", label=label, text=text, **tags))
        item_tags = {field: tags[field] for field in tags if field in ChoiceItem.model_fields}
        whole = {"prompt": "", "positive": good, "negative": bad, "completion": True}
        choices.append(_made(ChoiceItem, where, id=f"s{number}", **whole, **item_tags))
    return examples, choices


LAYOUTS: dict[str, tuple[tuple[str, ...], Callable[[Rows], Parts]]] = {
    "caa": (CAA_FIELDS, caa),
    "preferences": (PREFERENCE_FIELDS, preferences),
    "chats": (("messages",), chats),
    "statements": (("text|statement",), statements),
    "opinions": (OPINION_FIELDS, opinions),
    "completions": (("prompt", "positive", "negative"), completions),
    "sentences": (("sentence_good|good", "sentence_bad|bad"), sentences),
}
"""Name -> the columns of a table in this layout, and its reader; the first layout that fits is taken."""


def layout_of(columns: Collection[str], where: str) -> str:
    """The name of the layout that a table's columns fit.

    Raises
    ------
    ConceptError
        When there is none; the message names the columns and the layouts.

    Example
    -------
    >>> layout_of(["statement", "label"], "cities.csv")
    'statements'
    """
    for name, (fields, _) in LAYOUTS.items():
        if all(set(columns) & set(field.split("|")) for field in fields):
            return name
    layouts = "; ".join(f"{name} ({', '.join(fields)})" for name, (fields, _) in LAYOUTS.items())
    present = ", ".join(sorted(map(str, columns))) or "no row"
    fields = {name for needed, _ in LAYOUTS.values() for field in needed for name in field.split("|")}
    hints = [hint for name in sorted(fields) if (hint := meant(name, columns))]
    raise ConceptError(
        f"{where}: columns {present} fit no layout{hints[0] if hints else ''}: expected one of {layouts}"
    )


def meant(name: str, columns: Iterable[str]) -> str:
    """A hint at the column that is probably meant by `name`; empty where none looks like it.

    Example
    -------
    >>> meant("label", ["text", " Lable"])
    " (is ' Lable' meant to be 'label'?)"
    """
    plain = {str(column).strip().casefold(): str(column) for column in columns}
    close = difflib.get_close_matches(name, [one for one in plain if one != name or plain[one] != name], n=1)
    return f" (is {plain[close[0]]!r} meant to be {name!r}?)" if close else ""


class Pairing:
    """Pair ids for rows that share a key (a prompt, a condition).

    Under each key, the first row of label 1 and the first row of label 0 make a pair, the second ones make
    another, and so on.

    Example
    -------
    >>> pairing = Pairing("chat")
    >>> [pairing.name("prompt", label) for label in (1, 0, 1)]
    ['chat1', 'chat1', 'chat1.2']
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.keys: dict[str, int] = {}
        self.counts: dict[tuple[str, Any], int] = {}

    def name(self, key: str, label: Any) -> str:
        """The pair id of the next row with this key and label."""
        number = self.keys.setdefault(key, len(self.keys) + 1)
        self.counts[key, label] = count = self.counts.get((key, label), 0) + 1
        return f"{self.prefix}{number}" if count == 1 else f"{self.prefix}{number}.{count}"


def read_messages(value: Any, where: str) -> list[Message]:
    """The turns of a chat `[{"role": ..., "content": ...}, ...]`; other keys of a turn are left out.

    Raises
    ------
    ConceptError
        For anything else.

    Example
    -------
    >>> read_messages([{"role": "user", "content": "Brie?", "id": 3}], "row 1")
    [Message(role='user', content='Brie?')]
    """
    if not isinstance(value, (list, tuple)) or not value:
        raise ConceptError(f"{where}: field 'messages' got {str(value)[:40]!r}: expected a list of turns")
    turns = []
    for number, turn in enumerate(value):
        if not isinstance(turn, dict):
            raise ConceptError(
                f"{where}: field 'messages.{number}' got {str(turn)[:40]!r}: expected role and content"
            )
        turns.append(_turn(turn, f"{where}: messages.{number}"))
    return turns


def _turn(turn: dict[str, Any], where: str) -> Message:
    role, content = turn.get("role"), turn.get("content")
    if role not in ("system", "user", "assistant", "tool"):
        raise ConceptError(f"{where}: field 'role' got {role!r}: expected system, user, assistant or tool")
    if not isinstance(content, str) or not content.strip():
        raise ConceptError(f"{where}: field 'content' got {content!r}: expected text")
    return Message(role=role, content=content)


def _texts(row: dict[str, Any], fields: Sequence[str], where: str) -> list[str]:
    texts = []
    for field in fields:
        value = row.get(field)
        if not isinstance(value, str) or not value.strip():
            raise ConceptError(f"{where}: field {field!r} got {value!r}: expected text")
        texts.append(value.strip())
    return texts


def _answers(
    pair: str, question: str, positive: str, negative: str, where: str, **tags: Any
) -> Iterator[Example]:
    for label, answer in ((1, positive), (0, negative)):
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        yield _made(Example, where, pair=pair, label=label, messages=turns, **tags)


def _with_places(question: str, first: str, second: str) -> str:
    """The question with `{first}` and `{second}` for the items; they follow where it does not name them."""
    places = [re.search(rf"(?<!\w){re.escape(item)}(?!\w)", question) for item in (first, second)]
    if places[0] and places[1] and not (places[0].end() > places[1].start() < places[0].start()):
        spans = sorted([(places[0].span(), "{first}"), (places[1].span(), "{second}")], reverse=True)
        if spans[1][0][1] <= spans[0][0][0]:
            for (start, end), mark in spans:
                question = question[:start] + mark + question[end:]
            return question
    return f"{question}\n- {{first}}\n- {{second}}"


def _tags(row: dict[str, Any]) -> dict[str, Any]:
    tags = set(Example.model_fields) - {"pair", "label", "text", "messages"}
    return {field: row[field] for field in tags if row.get(field) is not None}


def _made(kind: type[Any], where: str, **values: Any) -> Any:
    try:
        return kind(**values)
    except ConceptError as error:
        raise ConceptError(f"{where}: {error}") from None
