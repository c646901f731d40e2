"""The figures of the battery and of the site search: every number that is drawn stands in the table."""

import pytest

from probes.errors import InputError
from probes.figures import battery_rates, site_search
from probes.tables.schema import tidy
from tests.makers import traces


def row(stage, measure, variant, estimate, **more):
    interval = {"estimate": estimate, "ci_low": estimate - 0.1, "ci_high": estimate + 0.1, "n_pairs": 20}
    return {"stage": stage, "concept": "prices", "measure": measure, "variant": variant} | interval | more


BATTERY = tidy(
    row(stage, "battery_rate", form, value)
    for stage, values in {"base": (0.5, 0.45, 0.5), "mid": (0.9, 0.1, 0.6)}.items()
    for form, value in zip(("asked", "reversed", "not_asked"), values, strict=True)
)
SITES = tidy(
    row("mid", "site_search", variant, layer / 4 + (role == "last") / 10, layer=layer, position=role)
    | {"selected": (layer, role) == (2, "last"), "site": "resid_post"}
    for variant in ("whole_state", "class_mean")
    for layer in range(3)
    for role in ("evidence", "last")
)


def test_asked_and_reversed_are_drawn_where_the_table_has_them_and_joined():
    figure = battery_rates(BATTERY)
    for stage, asked, reversed in (("base", 0.5, 0.45), ("mid", 0.9, 0.1)):
        assert traces(figure, name=f"{stage} asked")[0]["x"] == [asked]
        assert traces(figure, name=f"{stage} reversed")[0]["x"] == [reversed]
        assert traces(figure, name=f"{stage} joined")[0]["x"] == [asked, reversed]
    filled, hollow = (traces(figure, name=f"mid {form}")[0]["marker"] for form in ("asked", "reversed"))
    assert filled["color"] != hollow["color"] == "white"
    assert traces(figure, name="mid not_asked")[0]["marker"]["symbol"] == "x-thin"


def test_a_site_search_is_a_heat_map_with_the_chosen_site_marked():
    figure = site_search(SITES)
    whole = traces(figure, name="mid whole states")[0]
    assert [list(line) for line in whole["z"]] == [[0.0, 0.1], [0.25, 0.35], [0.5, 0.6]]
    assert (list(whole["x"]), list(whole["y"])) == (["evidence", "last"], ["0", "1", "2"])
    assert {(t["x"][0], t["y"][0]) for t in traces(figure, name="chosen")} == {("last", "2")}


@pytest.mark.parametrize(("draw", "table"), [(battery_rates, SITES), (site_search, BATTERY)])
def test_tables_without_the_rows_are_refused(draw, table):
    with pytest.raises(InputError, match="measure"):
        draw(table)
