"""A recipe's Python file of data makers: it is run on request, and one line says what is wrong."""

import pytest

from probes.errors import RecipeError
from probes.training import load_makers

HEAD = "from probes.training import DataMaker, DataTable\n"


def test_makers_are_listed_in_the_order_of_the_file(recipe):
    makers = load_makers(recipe.parent / "makers.py")
    assert [(maker.kind, maker.preference) for maker in makers] == [
        ("stories", False),
        ("weather", False),
        ("answers", True),
    ]


def test_an_edited_file_and_its_edited_neighbour_count_at_the_next_call(tmp_path):
    def row(word):
        (tmp_path / "words.py").write_text(f"WORD = {word!r}\n")
        (tmp_path / "makers.py").write_text(
            f"{HEAD}from .words import WORD\n"
            'MAKERS = [DataMaker("word", DataTable, lambda table, seed: [{"text": WORD}])]\n'
        )
        (maker,) = load_makers(tmp_path / "makers.py")
        (row,) = maker.rows(maker.table(kind="word"), 0)
        return row["text"]

    assert [row("fox"), row("porcupine")] == ["fox", "porcupine"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import absent_library", r"makers\.py: cannot be run .*ModuleNotFoundError: .*absent_library"),
        ("MAKERS = [", r"makers\.py: cannot be run .*SyntaxError"),
        ("", r"makers\.py: expected MAKERS = \[DataMaker\(\.\.\.\), \.\.\.\], got MAKERS = None"),
        ("MAKERS = ['stories']", r"expected MAKERS = \[DataMaker.*got MAKERS = \['stories'\]"),
        (f"{HEAD}MAKERS = [DataMaker('chats', DataTable, list)]", "MAKERS has the built-in kind 'chats'"),
        (f"{HEAD}MAKERS = [DataMaker('x', DataTable, list)] * 2", "MAKERS has the kind 'x' twice"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_in_one_line(tmp_path, code, message):
    (tmp_path / "makers.py").write_text(code)
    with pytest.raises(RecipeError, match=message) as caught:
        load_makers(tmp_path / "makers.py")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        RecipeError, match=r"absent\.py: no such file; expected the Python file of data makers"
    ):
        load_makers(tmp_path / "absent.py")
    (tmp_path / "makers.txt").write_text("MAKERS = []")
    with pytest.raises(RecipeError, match=r"makers\.txt: expected a Python file"):
        load_makers(tmp_path / "makers.txt")
