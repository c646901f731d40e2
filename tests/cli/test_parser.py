"""The parser: every command explains its options and shows an example."""

import argparse
import shlex

import pytest

from probes.cli import parser


def commands(top):
    """The parsers of all commands that can be run."""
    groups = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        return [top]
    return [leaf for group in groups for child in group.choices.values() for leaf in commands(child)]


@pytest.mark.parametrize("command", commands(parser()), ids=lambda command: command.prog)
def test_every_command_explains_its_options_and_shows_an_example_that_parses(command):
    assert command.description.endswith(".")
    for action in command._actions:
        assert action.help, action.dest
    assert "--json" in command.format_help()
    example = shlex.split(command.epilog.removeprefix("example:\n"))
    assert " ".join(example).startswith(command.prog)
    assert parser().parse_args(example[1:]).run


def test_no_option_has_the_name_of_something_that_every_object_has():
    """nnsight gives every object a method `save`: an option of that name would never get its default."""
    import nnsight  # noqa: F401

    have = set(dir(argparse.Namespace()))
    assert "save" in have
    names = {action.dest for command in commands(parser()) for action in command._actions}
    assert not names & have


def test_every_verb_reads_the_same_position_unless_told():
    survey = parser().parse_args(["survey", "x", "--concept", "c", "--out", "o"])
    extract = parser().parse_args(["extract", "x", "y", "--concept", "c", "--out", "o"])
    assert survey.position == extract.position == "mean"
