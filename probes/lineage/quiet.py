"""What transformers and its relatives say: their bars and reports are switched off for a while, and their
errors are made into one line. What matters of it is raised by this package."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars, no warnings and no messages below error from transformers inside the block."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def first_line(error: Exception) -> str:
    """The first line of an error's message, or the name of its class when it has no message.

    Example
    -------
    >>> first_line(ValueError("no such key\\nand much more")), first_line(KeyError())
    ('no such key', 'KeyError')
    """
    message = str(error).strip()
    return message.splitlines()[0] if message else type(error).__name__
