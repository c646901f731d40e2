"""Sizes and fonts of the places a figure goes: paper columns, a slide, a notebook.

A figure is drawn anew for each of them rather than scaled, so that type stays readable at its final size.
"""

from __future__ import annotations

from dataclasses import dataclass

from probes.errors import InputError

PIXELS_PER_INCH = 96  # CSS pixels: what Chrome writes into PDF and SVG
SMALLEST_PT = 7.0


@dataclass(frozen=True)
class Preset:
    """The size of a place that figures go to.

    Parameters
    ----------
    name : str
    width : float
        Width of the figure in inches.
    font : float
        Size of body type in points, at that width.
    dpi : int
        Dots per inch of bitmaps.

    Examples
    --------
    >>> poster = Preset("poster", width=20, font=24, dpi=150)
    >>> poster.width_px, poster.em
    (1920, 32.0)
    >>> probes.draw(table, kind="choice_rates", preset=poster)
    Figure(choice_rates, preset='poster', 1920 x 346 px)
    """

    name: str
    width: float
    font: float
    dpi: int = 300

    @property
    def width_px(self) -> int:
        """Width in CSS pixels, 96 to the inch."""
        return round(self.width * PIXELS_PER_INCH)

    @property
    def em(self) -> float:
        """Size of body type in CSS pixels; every distance in a figure is a multiple of it."""
        return self.font * PIXELS_PER_INCH / 72

    @property
    def small(self) -> float:
        """Size of tick labels and other small type in CSS pixels, never under 7 points."""
        return max(0.9 * self.font, SMALLEST_PT) * PIXELS_PER_INCH / 72

    @property
    def stroke(self) -> float:
        """Width of a data line in CSS pixels."""
        return 0.13 * self.em

    @property
    def scale(self) -> float:
        """Bitmap pixels for one CSS pixel."""
        return self.dpi / PIXELS_PER_INCH


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("neurips", width=5.5, font=8),  # text width
        Preset("iclr", width=5.5, font=8),  # text width
        Preset("icml", width=3.25, font=8),  # one of two columns
        Preset("icml_wide", width=6.75, font=8),  # both columns
        Preset("slide", width=12.0, font=17, dpi=160),
        Preset("notebook", width=9.4, font=10, dpi=192),
    )
}


def get_preset(preset: str | Preset | None) -> Preset:
    """Look up a preset.

    Parameters
    ----------
    preset : str, Preset or None
        A name in `PRESETS`; None is the notebook. A `Preset` of your own is returned as it is.

    Returns
    -------
    Preset

    Raises
    ------
    InputError
        There is no preset of that name.

    Examples
    --------
    >>> get_preset("icml")
    Preset(name='icml', width=3.25, font=8, dpi=300)
    """
    if isinstance(preset, Preset):
        return preset
    if preset is None:
        return PRESETS["notebook"]
    if preset not in PRESETS:
        raise InputError(f"no figure preset is named {preset!r}; use one of {', '.join(PRESETS)}")
    return PRESETS[preset]
