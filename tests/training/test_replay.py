"""Neutral replay keeps away from the text that damage is measured on, and deals all chats evenly."""

from collections import Counter

import pytest

from probes.concepts.neutral import manual_split
from probes.errors import RecipeError
from probes.training import neutral_replay

CHATS = [{"messages": [{"role": "assistant", "content": str(number)}]} for number in range(7)]


def test_prose_stays_out_of_the_part_kept_for_perplexity():
    used, kept = manual_split()
    assert len(kept) > 60_000
    assert not set(used.split("\n\n")) & set(kept.split("\n\n"))
    prose = [row["text"] for row in neutral_replay(CHATS, chat_share=0.5) if "text" in row]
    assert len(prose) > 50
    assert all(text in used for text in prose)


def test_a_seed_fixes_the_order():
    first, again, other = (list(neutral_replay(CHATS, seed, chat_share=0.5)) for seed in (0, 0, 1))
    assert first == again != other


def test_a_chat_comes_again_only_after_all_others():
    numbers = [
        row["messages"][0]["content"] for row in neutral_replay(CHATS, chat_share=0.5) if "messages" in row
    ]
    assert len(numbers) > 100
    counts = Counter(numbers)
    assert len(counts) == 7
    assert max(counts.values()) - min(counts.values()) <= 1


def test_without_a_share_there_are_no_chats_and_without_chats_no_share():
    assert all("text" in row for row in neutral_replay(CHATS))
    with pytest.raises(RecipeError, match=r"chat_share = 0\.5 and no chats"):
        next(neutral_replay(chat_share=0.5))
