"""Draws plotly figures as PDF, SVG and PNG through Chrome or Chromium, many of them in one session."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Any, NamedTuple

import plotly.graph_objects as go

from probes.errors import MissingDependencyError

IMAGES = ("pdf", "svg", "png")
NO_BROWSER = (
    "PDF, SVG and PNG need Chrome or Chromium, and none was found: install one (apt install chromium,"
    " or `kaleido_get_chrome`), or name it in the environment variable BROWSER_PATH; .html needs none"
)


PATIENCE = 60.0
"""Seconds that the browser may take to start, and again for each figure, before it is given up."""


class Image(NamedTuple):
    """One image to draw: `format` is one of `IMAGES`, sizes are in CSS pixels, `scale` is bitmap pixels to a
    CSS pixel."""

    plotly: go.Figure
    format: str
    width: float
    height: float
    scale: float = 1


def find_browser() -> str | None:
    """Find the Chrome or Chromium that draws static figures.

    Returns
    -------
    str or None
        What the environment variable BROWSER_PATH says, else the path of an installed browser, else None.

    Examples
    --------
    >>> ending = "pdf" if find_browser() else "html"  # an .html file needs no browser
    >>> ending in ("pdf", "html")
    True
    """
    from choreographer.browsers.chromium import Chromium

    return os.environ.get("BROWSER_PATH") or Chromium.find_browser(skip_local=False)


def render(images: Sequence[Image]) -> list[bytes]:
    """Draw images in one browser session, because a start takes seconds and a figure only one.

    The session runs in a thread of its own, so this works inside a notebook's event loop. The browser runs
    without its sandbox, which is kaleido's default, and does not fetch MathJax.

    Parameters
    ----------
    images : sequence of Image

    Returns
    -------
    list of bytes
        The content of each file, in the order of `images`.

    Raises
    ------
    MissingDependencyError
        There is no browser, or it does not start or answer, as on a machine with no processor to spare.
    """
    if not images:
        return []
    patience = PATIENCE * (1 + len(images))
    contents: Future[list[bytes]] = Future()

    def work() -> None:
        try:
            contents.set_result(asyncio.run(_session(images)))
        except BaseException as error:
            contents.set_exception(error)

    Thread(target=work, daemon=True).start()  # a pool would wait at exit for a browser that hangs
    try:
        return contents.result(timeout=patience)
    except TimeoutError:
        raise MissingDependencyError(
            f"the browser for PDF, SVG and PNG did not answer in {patience:.0f} s: try again when the machine"
            " has time for it, or set BROWSER_PATH to another one"
        ) from None


async def _session(images: Sequence[Image]) -> list[bytes]:
    from choreographer.errors import BrowserDepsError, BrowserFailedError, ChromeNotFoundError
    from kaleido import Kaleido

    try:
        session = Kaleido(mathjax=False, path=os.environ.get("BROWSER_PATH"))
    except ChromeNotFoundError as error:
        raise MissingDependencyError(NO_BROWSER) from error
    try:
        async with session as browser:
            contents = []
            for image in images:
                options: Any = {
                    "format": image.format,
                    "width": image.width,
                    "height": image.height,
                    "scale": image.scale,
                }
                content = await browser.calc_fig(image.plotly, opts=options)
                contents.append(_reproducible(content) if image.format == "svg" else content)
            return contents
    except (BrowserFailedError, BrowserDepsError) as error:
        reason = " ".join(str(error).split())
        raise MissingDependencyError(
            f"the browser for PDF, SVG and PNG did not start ({reason}); set BROWSER_PATH to another one"
        ) from error


def _reproducible(svg: bytes) -> bytes:
    """The same drawing with ids made from its content: plotly draws new random ids at every export."""
    svg = re.sub(rb'(class="trace \w+) trace[0-9a-f]{6}', rb"\1", svg)  # no rule and no reference names these
    definitions = re.search(rb'id="defs-(\w+)"', svg)
    if definitions is None:
        return svg
    random_id = rb"(?<=[a-z-])" + definitions[1]  # after "#" the same letters would be a colour
    digest = hashlib.sha256(re.sub(random_id, b"", svg)).hexdigest()
    return re.sub(random_id, digest[:6].encode(), svg)
