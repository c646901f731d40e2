"""What the tests of the command line share: running a command in this process."""

import pytest

from probes.cli import main


@pytest.fixture
def run(capsys):
    """A function of the words of a command: its exit code, standard output and standard error."""

    def run_command(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run_command
