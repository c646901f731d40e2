"""The object that every drawing function returns: a plotly figure to restyle, its words and its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go

from probes.errors import InputError
from probes.figures.browser import IMAGES, Image, render
from probes.figures.presets import Preset, get_preset
from probes.tables.writing import write_bytes

FORMATS = (*IMAGES, "html")


class Words(NamedTuple):
    """What a figure says of a measure: what is drawn, how to read it, and what could mislead the reader."""

    what: str
    how_to_read: str
    caveat: str


@dataclass(repr=False)
class Figure:
    """A drawn figure and the words that go with it.

    Parameters
    ----------
    paint : callable
        Draws the figure for a preset: `Preset -> plotly.graph_objects.Figure`.
    kind : str
        Name of the drawing function.
    caption : str
        What is drawn, and from how many pairs or items and training seeds.
    how_to_read : str
        How to read the figure.
    caveat : str
        What could mislead the reader.
    alt : str
        Text for those who do not see the figure.
    preset : Preset
        The size that the figure is drawn at; the notebook's by default.

    Attributes
    ----------
    plotly : plotly.graph_objects.Figure
        The figure at the size of `preset`. Change it as you like before `show` or `export`.

    Examples
    --------
    >>> figure = probes.draw(table, kind="choice_rates", stages=["base"], preset="icml")
    >>> figure
    Figure(choice_rates, preset='icml', 312 x 97 px)
    >>> print(figure.how_to_read)
    Compare a stage with its parent and with the control arm, never with .5 alone.
    """

    paint: Callable[[Preset], go.Figure]
    kind: str
    caption: str
    how_to_read: str
    caveat: str
    alt: str
    preset: Preset = field(default_factory=lambda: get_preset(None))
    plotly: go.Figure = field(init=False)

    def __post_init__(self) -> None:
        self.plotly = self.paint(self.preset)

    def __repr__(self) -> str:
        return f"Figure({self.kind}, preset={self.preset.name!r}, {self.width:.0f} x {self.height:.0f} px)"

    @property
    def width(self) -> float:
        """Width in CSS pixels, of which there are 96 to the inch."""
        return float(self.plotly.to_dict()["layout"]["width"])

    @property
    def height(self) -> float:
        """Height in CSS pixels."""
        return float(self.plotly.to_dict()["layout"]["height"])

    def at(self, preset: str | Preset) -> Figure:
        """Draw the figure anew for another preset.

        Parameters
        ----------
        preset : str or Preset

        Returns
        -------
        Figure
            A new figure. Changes that were made by hand to `plotly` are not in it.

        Raises
        ------
        InputError
            There is no preset of that name.

        Examples
        --------
        >>> probes.draw(table, kind="choice_rates").at("slide")
        Figure(choice_rates, preset='slide', 1152 x 245 px)
        """
        return replace(self, preset=get_preset(preset))

    def show(self, renderer: str | None = None) -> None:
        """Show the figure in a notebook cell or in the browser; `renderer` is the name of one of plotly's."""
        self.plotly.show(renderer=renderer)

    def _ipython_display_(self) -> None:
        self.show()

    def export(self, path: str | Path, preset: str | Preset | None = None) -> Path:
        """Write the figure to a file.

        Parameters
        ----------
        path : str or Path
            Its ending says the format: .pdf, .svg or .png, which need Chrome or Chromium, or .html.
        preset : str or Preset, optional
            With one, the figure is drawn anew at that size. Without one, `plotly` is written as it stands.

        Returns
        -------
        Path
            The file that was written.

        Raises
        ------
        InputError
            The ending or the preset is unknown.
        OutputError
            The file cannot be written.
        MissingDependencyError
            The format needs a browser and there is none.

        Examples
        --------
        >>> figure = probes.draw(table, kind="choice_rates")
        >>> figure.export(folder / "rates.html", preset="neurips").name
        'rates.html'
        """
        path = Path(path)
        return export_all({path.stem: self}, path.parent, [path.suffix.lstrip(".")], preset)[0]

    def html(self, include_js: bool = True) -> str:
        """A `<div>` as wide as the page around it, with plotly.js inside it unless `include_js` is False."""
        fluid = go.Figure(self.plotly)
        height = self.height
        fluid.update_layout(width=None, autosize=True)
        return fluid.to_html(
            full_html=False,
            include_plotlyjs=include_js,
            default_width="100%",
            default_height=f"{height:.0f}px",
            config={"responsive": True, "displaylogo": False, "displayModeBar": False},
        )

    def page(self) -> str:
        """A whole HTML page that needs nothing from the network."""
        return self.plotly.to_html(full_html=True, include_plotlyjs=True, config={"displaylogo": False})


def export_all(
    figures: Mapping[str, Figure],
    folder: str | Path,
    formats: Sequence[str] = ("pdf", "svg", "png"),
    preset: str | Preset | None = None,
) -> list[Path]:
    """Write every figure as `folder/name.format`, with one browser session for all of them.

    Parameters
    ----------
    figures : mapping of str to Figure
        File name without its ending -> figure.
    folder : str or Path
        It is made if it is not there.
    formats : sequence of str
        Any of pdf, svg, png and html.
    preset : str or Preset, optional
        With one, every figure is drawn anew at that size.

    Returns
    -------
    list of Path
        The files, in the order of `figures` and then of `formats`.

    Raises
    ------
    InputError
        A format or the preset is unknown.
    OutputError
        The folder cannot be written.
    MissingDependencyError
        A format needs a browser and there is none.

    Examples
    --------
    >>> figures = {"rates": probes.draw(table, kind="choice_rates")}
    >>> [path.name for path in export_all(figures, folder, ["html"], preset="icml")]
    ['rates.html']
    """
    targets = []
    for name, figure in figures.items():
        drawn = figure if preset is None else figure.at(preset)
        for ending in formats:
            path = Path(folder) / f"{name}.{ending}"
            targets.append((path, drawn, _format(path)))
    images = iter(render([_image(figure, kind) for _, figure, kind in targets if kind in IMAGES]))
    return [
        write_bytes(path, figure.page().encode() if kind == "html" else next(images))
        for path, figure, kind in targets
    ]


def _format(path: Path) -> str:
    """The format that the ending of a path names."""
    ending = path.suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise InputError(f"cannot write a figure as {path.name!r}: end the name in .{', .'.join(FORMATS)}")
    return ending


def _image(figure: Figure, kind: str) -> Image:
    scale = figure.preset.scale if kind == "png" else 1
    return Image(figure.plotly, kind, figure.width, figure.height, scale)
