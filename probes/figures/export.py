"""Figures to files: one browser session for many of them, each file written whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from probes.errors import InputError, MissingDependencyError
from probes.figures.presets import Preset
from probes.tables.writing import write_bytes

if TYPE_CHECKING:
    from probes.figures.figure import Figure

IMAGES = ("pdf", "svg", "png")
FORMATS = (*IMAGES, "html")
NO_BROWSER = (
    "PDF, SVG and PNG need Chrome or Chromium, and none was found: install one (apt install chromium,"
    " or `kaleido_get_chrome`), or name it in the environment variable BROWSER_PATH; .html needs none"
)


PATIENCE = 60.0
"""Seconds that the browser may take to start, and again for each figure, before it is given up."""


def file_format(path: Path) -> str:
    """`pdf`, `svg`, `png` or `html` by the ending of the path; InputError for any other ending."""
    ending = path.suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise InputError(f"cannot write a figure as {path.name!r}: end the name in .{', .'.join(FORMATS)}")
    return ending


def find_browser() -> str | None:
    """Path of the Chrome or Chromium that static figures are drawn with; None without one."""
    from choreographer.browsers.chromium import Chromium

    return os.environ.get("BROWSER_PATH") or Chromium.find_browser(skip_local=False)


def render(images: Sequence[tuple[Figure, str]]) -> list[bytes]:
    """The bytes of each (figure, format) from one browser session (start-up takes seconds, a figure one).

    The session runs in a thread of its own, so this works inside a notebook's event loop. The sandbox is
    off, as kaleido has it by default, and MathJax is not fetched. Raises MissingDependencyError, also for a
    browser that does not answer, as on a machine with no processor to spare.
    """
    if not images:
        return []
    patience = PATIENCE * (1 + len(images))
    drawn: Future[list[bytes]] = Future()

    def work() -> None:
        try:
            drawn.set_result(asyncio.run(_render(images)))
        except BaseException as error:
            drawn.set_exception(error)

    Thread(target=work, daemon=True).start()  # a pool would wait at exit for a browser that hangs
    try:
        return drawn.result(timeout=patience)
    except TimeoutError:
        raise MissingDependencyError(
            f"the browser for PDF, SVG and PNG did not answer in {patience:.0f} s: try again when the machine"
            " has time for it, or set BROWSER_PATH to another one"
        ) from None


async def _render(images: Sequence[tuple[Figure, str]]) -> list[bytes]:
    from choreographer.errors import BrowserDepsError, BrowserFailedError, ChromeNotFoundError
    from kaleido import Kaleido

    try:
        session = Kaleido(mathjax=False, path=os.environ.get("BROWSER_PATH"))
    except ChromeNotFoundError as error:
        raise MissingDependencyError(NO_BROWSER) from error
    try:
        async with session as browser:
            pages = []
            for figure, kind in images:
                options: Any = {
                    "format": kind,
                    "width": figure.width,
                    "height": figure.height,
                    "scale": figure.preset.scale if kind == "png" else 1,
                }
                pages.append(await browser.calc_fig(figure.plotly, opts=options))
            return pages
    except (BrowserFailedError, BrowserDepsError) as error:
        reason = " ".join(str(error).split())
        raise MissingDependencyError(
            f"the browser for PDF, SVG and PNG did not start ({reason}); set BROWSER_PATH to another one"
        ) from error


def export_all(
    figures: Mapping[str, Figure],
    folder: str | Path,
    formats: Sequence[str] = ("pdf", "svg", "png"),
    preset: str | Preset | None = None,
) -> list[Path]:
    """Write every figure as `folder/name.format`, all of them through one browser session.

    Returns the paths in the order of `figures`, then of `formats`. Raises InputError for an unknown format
    or preset, OutputError where the folder cannot be written, MissingDependencyError without a browser.
    """
    targets = []
    for name, figure in figures.items():
        shown = figure if preset is None else figure.at(preset)
        for ending in formats:
            path = Path(folder) / f"{name}.{ending}"
            targets.append((path, shown, file_format(path)))
    images = iter(render([(figure, kind) for _, figure, kind in targets if kind in IMAGES]))
    written = []
    for path, figure, kind in targets:
        content = figure.page().encode() if kind == "html" else next(images)
        written.append(write_bytes(path, _settled(content) if kind == "svg" else content))
    return written


def _settled(svg: bytes) -> bytes:
    """The drawing with ids made from what it shows, in place of those Plotly draws by lot at every export."""
    svg = re.sub(rb'(class="trace \w+) trace[0-9a-f]{6}', rb"\1", svg)  # which no rule and no reference names
    found = re.search(rb'id="defs-(\w+)"', svg)
    if found is None:
        return svg
    lot = rb"(?<=[a-z-])" + found[1]  # not after "#", where the same letters would be a colour
    digest = hashlib.sha256(re.sub(lot, b"", svg)).hexdigest()
    return re.sub(lot, digest[:6].encode(), svg)
