"""The confusion figure: it counts every answer and refuses unknown ones."""

import polars as pl
import pytest

from probes.errors import InputError
from probes.figures.confusion import confusion


def test_the_confusion_figure_counts_every_answer_and_refuses_unknown_ones():
    rows = pl.DataFrame(
        {
            "panel": ["v"] * 3,
            "truth": ["absent", "absent", "surface"],
            "answer": ["absent", "internal", "surface"],
        }
    )
    orders = {"v": (["absent", "surface"], ["absent", "surface", "internal"])}
    figure = confusion(rows, orders)
    heat = next(trace for trace in figure.plotly.to_dict()["data"] if trace["type"] == "heatmap")
    assert [list(line) for line in heat["customdata"]] == [[1, 0, 1], [0, 1, 0]]
    assert "n=3" in figure.caption
    with pytest.raises(InputError, match="internal"):
        confusion(rows, {"v": (["absent", "surface"], ["absent", "surface"])})
    with pytest.raises(InputError, match="no answers"):
        confusion(rows, {"w": (["absent"], ["absent"])})
