"""The object every drawing function returns: a plotly figure people can restyle, its words, and its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import plotly.graph_objects as go

from probes.figures.export import export_all
from probes.figures.presets import Preset, get_preset


@dataclass(repr=False)
class Figure:
    """A drawn figure and the words that go with it.

    `plotly` is the plotly figure at the size of `preset`; change it as you like before `show` or `export`.
    `caption` says what is drawn and from how many pairs, `reading` how to read it, `caveat` what would fool
    the reader, `alt` is the text for those who do not see it. `paint` draws it for any preset.
    """

    paint: Callable[[Preset], go.Figure]
    kind: str
    caption: str
    reading: str
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
        """Width in CSS pixels, 96 to the inch."""
        return float(self.plotly.to_dict()["layout"]["width"])

    @property
    def height(self) -> float:
        """Height in CSS pixels."""
        return float(self.plotly.to_dict()["layout"]["height"])

    def at(self, preset: str | Preset) -> Figure:
        """The same figure drawn anew for another preset; changes made by hand to `plotly` stay behind."""
        return replace(self, preset=get_preset(preset))

    def show(self, **options) -> None:
        """Show it with plotly's renderer (a notebook cell, or the browser)."""
        self.plotly.show(**options)

    def _ipython_display_(self) -> None:
        self.show()

    def export(self, path: str | Path, preset: str | Preset | None = None) -> Path:
        """Write it to `path`: .pdf, .svg, .png (through Chrome or Chromium) or .html, by the ending.

        Without a preset `plotly` is written as it stands; with one the figure is drawn anew at that size.
        Raises InputError for another ending or an unknown preset, OutputError where the file cannot be
        written, MissingDependencyError without a browser.
        """
        path = Path(path)
        return export_all({path.stem: self}, path.parent, [path.suffix.lstrip(".")], preset)[0]

    def html(self, include_js: bool = True) -> str:
        """A `<div>` as wide as its page, with plotly.js inside it unless `include_js` is False."""
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
