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


def one_line(error: BaseException, longest: int = 400) -> str:
    """An error's message in one line of at most `longest` characters, or its class when it has no message.

    Example
    -------
    >>> one_line(ValueError("no such key:\\n  model.norm")), one_line(KeyError())
    ('no such key: model.norm', 'KeyError')
    """
    message = " ".join(str(error).split())
    if len(message) > longest:
        message = message[:longest].rsplit(" ", 1)[0] + " ..."
    return message or type(error).__name__
