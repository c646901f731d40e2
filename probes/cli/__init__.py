"""The `probes` command. Tables go to stdout; progress and errors go to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from probes.cli.parser import parser
from probes.errors import ProbesError

__all__ = ["main", "parser"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    0 when it worked, 1 when a check found something wrong, 2 when it could not run, and 130 when it was
    interrupted.
    """
    args = parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except ProbesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted; what was written to disk so far is kept", file=sys.stderr)
        return 130
