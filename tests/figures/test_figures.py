"""Figures carry the table's own numbers, say which rows they need, and become real files."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import xml.etree.ElementTree as ElementTree

import polars as pl
import pytest

from probes.errors import InputError, MissingDependencyError, OutputError
from probes.figures import (
    PRESETS,
    Figure,
    choice_rates,
    dose_response,
    draw,
    draw_all,
    export_all,
    kinds,
    layer_profile,
    survival_curves,
    transfer_matrix,
)
from probes.tables.result import Result
from probes.tables.schema import SCHEMA, tidy

PARENTS = {
    "base": None,
    "aft": "base",
    "msm_afford": "base",
    "msm_afford_aft": "msm_afford",
    "msm_domestic": "base",
    "msm_domestic_aft": "msm_domestic",
}
STAGES = list(PARENTS)
CONCEPTS = ("affordability", "domestic")
LAYERS = 30


def synthetic_table(stages=STAGES, concepts=CONCEPTS, layers=LAYERS) -> pl.DataFrame:
    """A survey's table with the shapes and sizes of the first trial; every number drawn from a fixed seed."""
    draw_number = random.Random(0)
    rows = []

    def add(measure, variant, estimate, half, **more):
        estimate += draw_number.gauss(0, half / 4)
        if measure in ("auroc", "accuracy", "choice_rate", "cosine", "cosine_whitened"):
            estimate = min(estimate, 0.995)
        ceiling = 1.0 if measure in ("auroc", "accuracy", "choice_rate", "cosine") else math.inf
        rows.append(
            {
                "lineage": "msm-mini", "site": "resid_post", "position": "last", "render": "shared",
                "estimator": "logistic", "estimate": estimate, "ci_low": estimate - half,
                "ci_high": min(estimate + 0.8 * half, ceiling), "n_pairs": 120, "n_seeds": 1, "seed": 0,
                "selected": False, "digest": "ab12", **more, "measure": measure, "variant": variant,
            }
        )  # fmt: skip

    for concept in concepts:
        for s, stage in enumerate(stages):
            matched = concept[:6] in stage
            where = {"stage": stage, "concept": concept}
            for layer in range(layers):
                at = {**where, "layer": layer}
                rise = 1 - math.exp(-(layer + 1) / 5)
                level = 0.6 + 0.3 * rise + (0.06 * rise if matched else 0)
                best = layer == 12 + s % 3
                add("auroc", "probe", level, 0.04, **{**at, "selected": best})
                add("accuracy", "probe", level - 0.08, 0.05, **{**at, "selected": best})
                add("auroc", "random_init", 0.6 + 0.05 * rise, 0.05, **at)
                add("auroc", "shuffled_labels", 0.5, 0.05, **at)
                bump = math.exp(-((layer - 14) ** 2) / 40)
                add("steering_slope", "direction", bump * (0.9 if matched else 0.35), 0.12, **at)
                add("steering_slope", "random_direction", 0.0, 0.15, **at)
            null = {**where, "site": None, "position": None}
            for variant, level in (
                ("word_ngrams", 0.63), ("char_ngrams", 0.66), ("length", 0.53), ("embedding", 0.72),
            ):  # fmt: skip
                add("auroc", variant, level, 0.06, **null)
            add("auroc_gap", "probe_minus_best_surface", 0.2, 0.05, **{**where, "layer": 12 + s % 3})
            rate = 0.75 if matched else 0.45
            for variant, shift in (("summed", 0.0), ("per_token", -0.04)):
                add("choice_rate", variant, rate + shift, 0.08, **null, n_pairs=130)
                add("choice_logit", variant, 4 * (rate - 0.5) + shift, 0.3, **null, n_pairs=130)
                add("position_bias", variant, 0.1, 0.1, **null, n_pairs=130)
            at = {**where, "layer": 12 + s % 3}
            for alpha in (-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0):
                base = 4 * (rate - 0.5)
                add("choice_logit", "direction", base + 3 * math.tanh(alpha / 5), 0.3, **at, alpha=alpha)
                add("choice_logit", "random_direction", base, 0.1 + 0.05 * abs(alpha), **at, alpha=alpha)
                add("choice_rate", "direction", 0.5 + 0.4 * math.tanh(alpha / 5), 0.05, **at, alpha=alpha)
                add("kl", "direction", 0.004 * alpha**2, 0.001, **at, alpha=alpha)
                add("within_damage_limit", "direction", float(abs(alpha) < 5), 0.0, **at, alpha=alpha)
                add("perplexity_ratio", "direction", 1 + 0.01 * alpha**2, 0.01, **at, alpha=alpha)
            add("cosine", "noise_floor", 0.96, 0.02, **{**at, "source_stage": stage})
            add("cosine_whitened", "noise_floor", 0.9, 0.04, **{**at, "source_stage": stage})
            for p, source in enumerate(stages):
                if source != stage:
                    across = {**at, "source_stage": source}
                    far = 0.03 * abs(p - s)
                    add("auroc", "frozen", 0.93 - far, 0.04, **across)
                    add("cosine", "direction", 0.95 - 2 * far, 0.03, **across)
                    add("cosine_whitened", "direction", 0.85 - 3 * far, 0.05, **across)
                    add("steering_slope", "direction", 0.4 - far, 0.1, **across)
                    add("auroc", "refit", 0.94, 0.03, **{**at, "source_stage": source})
            add("auroc", "refit", 0.94, 0.03, **{**at, "source_stage": stage})
    return tidy(rows)


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return synthetic_table()


def rows_of(table, **wanted) -> list[dict]:
    for column, value in wanted.items():
        table = table.filter(pl.col(column).is_null() if value is None else pl.col(column) == value)
    return table.to_dicts()


def traces(figure: Figure, **wanted) -> list[dict]:
    """Traces as plain dicts with arrays as lists, filtered on equal values."""
    every = json.loads(figure.plotly.to_json(engine="json"))["data"]
    for trace in every:
        for axis in "xyz":
            if isinstance(trace.get(axis), dict):
                raise AssertionError("arrays are expected as lists")
    return [trace for trace in every if all(trace.get(k) == v for k, v in wanted.items())]


def test_layer_profile_draws_the_tables_own_numbers(table):
    figure = layer_profile(table)
    for panel, concept in enumerate(CONCEPTS):
        axis = f"x{panel + 1}" if panel else "x"
        for stage in STAGES:
            wanted = rows_of(table, measure="auroc", variant="probe", stage=stage, concept=concept)
            (line,) = [t for t in traces(figure, name=stage, xaxis=axis) if t["mode"] == "lines"]
            assert line["x"] == [row["layer"] for row in wanted] == list(range(LAYERS))
            assert line["y"] == pytest.approx([row["estimate"] for row in wanted], abs=0)
            (band,) = traces(figure, name=f"{stage} interval", xaxis=axis)
            highs, lows = band["y"][:LAYERS], band["y"][LAYERS:][::-1]
            assert highs == [row["ci_high"] for row in wanted]
            assert lows == [row["ci_low"] for row in wanted]
            (mark,) = traces(figure, name=f"{stage} chosen", xaxis=axis)
            (chosen,) = [row for row in wanted if row["selected"]]
            assert (mark["x"], mark["y"]) == ([chosen["layer"]], [chosen["estimate"]])


def test_layer_profile_draws_the_strongest_stage_of_each_baseline(table):
    figure = layer_profile(table)
    for variant in ("word_ngrams", "char_ngrams", "length", "embedding"):
        estimates = [
            row["estimate"]
            for row in rows_of(table, measure="auroc", variant=variant, concept="affordability")
        ]
        (line,) = traces(figure, name=variant, xaxis="x")
        assert line["y"] == [max(estimates)] * 2
        assert line["line"]["dash"] != "solid"
    (line,) = traces(figure, name="random_init", xaxis="x2")
    curves = [
        [
            row["estimate"]
            for row in rows_of(table, measure="auroc", variant="random_init", concept="domestic", stage=stage)
        ]
        for stage in STAGES
    ]
    assert line["y"] == max(curves, key=max)


def test_steering_profile_keeps_to_own_directions_and_bands_the_random_ones(table):
    figure = layer_profile(table, measure="steering_slope", stages=["base"])
    (line,) = [t for t in traces(figure, name="base", xaxis="x") if t["mode"] == "lines"]
    own = rows_of(
        table, measure="steering_slope", variant="direction", stage="base", source_stage=None,
        concept="affordability",
    )  # fmt: skip
    assert line["y"] == [row["estimate"] for row in own]
    (band,) = traces(figure, name="random range", xaxis="x")
    random_rows = rows_of(
        table, measure="steering_slope", variant="random_direction", stage="base", concept="affordability"
    )
    assert band["y"][:LAYERS] == [row["ci_high"] for row in random_rows]


def test_dose_response_carries_doses_intervals_and_damage(table):
    figure = dose_response(table, max_kl=0.1)
    lines = [trace for trace in traces(figure) if trace["mode"] == "lines+markers"]
    by_limit = [trace for trace in traces(dose_response(table)) if trace["mode"] == "lines+markers"]
    assert [trace["name"] for trace in lines] == STAGES * 2
    for line, (concept, stage) in zip(lines, ((c, s) for c in CONCEPTS for s in STAGES), strict=True):
        wanted = rows_of(table, measure="choice_logit", variant="direction", stage=stage, concept=concept)
        harm = rows_of(table, measure="kl", stage=stage, concept=concept)
        assert line["x"] == [row["alpha"] for row in wanted]
        assert line["y"] == [row["estimate"] for row in wanted]
        tops = [y + e for y, e in zip(line["y"], line["error_y"]["array"], strict=True)]
        ends = [y - e for y, e in zip(line["y"], line["error_y"]["arrayminus"], strict=True)]
        assert tops == pytest.approx([row["ci_high"] for row in wanted])
        assert ends == pytest.approx([row["ci_low"] for row in wanted])
        hollow = [color == "white" for color in line["marker"]["color"]]
        assert hollow == [row["estimate"] > 0.1 for row in harm]
        limited = rows_of(table, measure="within_damage_limit", stage=stage, concept=concept)
        (same,) = [t for t in by_limit if (t["name"], t["xaxis"]) == (line["name"], line["xaxis"])]
        assert [c == "white" for c in same["marker"]["color"]] == [r["estimate"] == 0 for r in limited]
        assert any(hollow)
        assert not all(hollow)
    band = traces(figure, name="random directions")[0]
    random_rows = rows_of(
        table, measure="choice_logit", variant="random_direction", stage="base", concept="affordability"
    )
    assert band["y"] == [r["ci_high"] for r in random_rows] + [r["ci_low"] for r in random_rows][::-1]


@pytest.mark.parametrize(
    ("measure", "across", "diagonal"),
    [
        ("auroc", "frozen", "refit"),
        ("cosine", "direction", "noise_floor"),
        ("cosine_whitened", "direction", "noise_floor"),
        ("steering_slope", "direction", "direction"),
    ],
)
def test_transfer_matrix_puts_each_number_in_its_cell(table, measure, across, diagonal):
    figure = transfer_matrix(table, measure=measure)
    cells = {
        (row["source_stage"], row["stage"], row["concept"]): row
        for row in rows_of(table, measure=measure, variant=across)
        if row["source_stage"] not in (None, row["stage"])
    }
    chosen = {
        (row["stage"], row["concept"]): row["layer"]
        for row in rows_of(table, measure="auroc", variant="probe", selected=True)
    }
    for row in rows_of(table, measure=measure, variant=diagonal):
        home = row["source_stage"] in (None, row["stage"])
        if home and row["layer"] == chosen[row["stage"], row["concept"]]:
            cells[row["stage"], row["stage"], row["concept"]] = row
    for heat, concept in zip(traces(figure, type="heatmap"), CONCEPTS, strict=True):
        assert heat["x"] == heat["y"] == STAGES
        for i, source in enumerate(STAGES):
            for j, target in enumerate(STAGES):
                row = cells[source, target, concept]
                assert heat["z"][i][j] == row["estimate"]
                assert f"{row['ci_high']:.2f}]".removeprefix("0") in heat["customdata"][i][j]
    texts = [note["text"] for note in figure.plotly.to_dict()["layout"]["annotations"]]
    assert len(texts) == 2 * len(STAGES) ** 2 + len(CONCEPTS)


def test_transfer_matrix_leaves_unmeasured_cells_empty(table):
    part = table.filter(~((pl.col("variant") == "frozen") & (pl.col("source_stage") == "aft")))
    heat = traces(transfer_matrix(part), type="heatmap")[0]
    row = heat["z"][STAGES.index("aft")]
    assert [value is None for value in row] == [stage != "aft" for stage in STAGES]


def test_survival_curves_follow_the_arms(table):
    figure = survival_curves(table, order=STAGES, parents=PARENTS)
    layout = figure.plotly.to_dict()["layout"]
    arms = [list(layout[axis]["ticktext"]) for axis in ("xaxis", "xaxis2", "xaxis3")]
    assert arms == [
        ["base", "aft"],
        ["base", "msm_afford", "msm_afford_aft"],
        ["base", "msm_domestic", "msm_domestic_aft"],
    ]

    def value(variant, stage, source):
        return rows_of(
            table, measure="auroc", variant=variant, stage=stage, source_stage=source, concept="affordability"
        )[0]["estimate"]

    (refit,) = traces(figure, name="refit", xaxis="x2")
    assert refit["y"] == [value("refit", stage, stage) for stage in arms[1]]
    (carried,) = traces(figure, name="from base", xaxis="x2")
    assert carried["y"] == [
        value("refit", "base", "base"),
        value("frozen", "msm_afford", "base"),
        value("frozen", "msm_afford_aft", "base"),
    ]
    assert min(carried["error_y"]["array"]) > 0
    assert [t["y"][1] for t in traces(figure, name="from msm_afford", xaxis="x2")] == [
        value("frozen", "msm_afford_aft", "msm_afford")
    ]


def test_survival_curves_join_a_branch_to_its_parent(table):
    parents = {"base": None, "msm_afford": "base", "msm_afford_aft": "msm_afford", "aft": "msm_afford"}
    some = table.filter(pl.col("stage").is_in(list(parents)), pl.col("source_stage").is_in(list(parents)))
    figure = survival_curves(some, order=list(parents), parents=parents)
    assert list(figure.plotly.to_dict()["layout"]["xaxis"]["ticktext"]) == list(parents)
    (trunk, branch) = traces(figure, name="refit", xaxis="x")
    assert (trunk["x"], branch["x"]) == ([0, 1, 2], [1, 3])
    assert branch["y"][0] == trunk["y"][1]
    first, second = traces(figure, name="from base", xaxis="x")
    assert first["y"][1] == second["y"][0] != second["y"][1]
    assert [len(first["y"]), len(second["y"])] == [3, 2]


def test_choice_rates_show_both_scorings_with_intervals(table):
    figure = choice_rates(table)
    for stage in STAGES:
        for variant in ("summed", "per_token"):
            drawn = traces(figure, name=f"{stage} {variant}")
            wanted = rows_of(table, measure="choice_rate", variant=variant, stage=stage, alpha=None)
            assert [trace["x"] for trace in drawn] == [[row["estimate"]] for row in wanted]
            assert [t["x"][0] + t["error_x"]["array"][0] for t in drawn] == pytest.approx(
                [row["ci_high"] for row in wanted]
            )
    shapes = figure.plotly.to_dict()["layout"]["shapes"]
    assert [(shape["x0"], shape["x1"]) for shape in shapes] == [(0.5, 0.5)] * 2


def test_a_stage_has_one_colour_in_every_figure_and_the_order_given(table):
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=3)
    profile = layer_profile(shuffled.sort("layer"), order=STAGES)
    colors = {
        trace["name"]: trace["line"]["color"]
        for trace in traces(profile, xaxis="x")
        if trace["name"] in STAGES
    }
    assert [name for name in colors if name in STAGES] == STAGES
    assert len(set(colors.values())) == len(STAGES)
    doses = dose_response(shuffled, order=STAGES)
    for trace in traces(doses):
        if trace["mode"] == "lines+markers":
            assert trace["line"]["color"] == colors[trace["name"]]
    assert traces(transfer_matrix(shuffled, order=STAGES), type="heatmap")[0]["y"] == STAGES


@pytest.mark.parametrize(
    ("draw_it", "what"),
    [
        (layer_profile, "variant 'probe'"),
        (dose_response, "an alpha"),
        (transfer_matrix, "variant 'frozen'"),
        (survival_curves, "measure 'auroc'"),
        (choice_rates, "measure 'choice_rate'"),
    ],
)
def test_a_figure_says_which_rows_it_needs(table, draw_it, what):
    with pytest.raises(InputError, match="needs rows with") as error:
        draw_it(table.filter(pl.col("measure") == "position_bias"))
    assert what in str(error.value)
    assert "\n" not in str(error.value)


def test_bad_input_is_refused_in_one_line(table):
    with pytest.raises(InputError, match="lacks the columns"):
        layer_profile(table.drop("estimate"))
    with pytest.raises(InputError, match="not dict"):
        layer_profile({"estimate": []})
    with pytest.raises(InputError, match="no transfer matrix of 'kl'"):
        transfer_matrix(table, measure="kl")
    with pytest.raises(InputError, match="no layer profile of 'kl'"):
        layer_profile(table, measure="kl")
    with pytest.raises(InputError, match="no figure is named 'pie'"):
        draw(table, "pie")
    with pytest.raises(InputError, match="no figure is made of"):
        draw(table.filter(pl.col("measure") == "position_bias"))
    with pytest.raises(InputError, match="use one of neurips"):
        layer_profile(table, preset="nature")
    twice = pl.concat([table, table.with_columns(pl.lit(1, dtype=pl.Int64).alias("seed"))])
    assert traces(layer_profile(twice)) == traces(layer_profile(table))
    other = table.with_columns(pl.lit(1, dtype=pl.Int64).alias("seed"), pl.col("estimate") + 0.01)
    with pytest.raises(InputError, match="keep one"):
        layer_profile(pl.concat([table, other]))


def test_one_setting_is_kept_where_a_table_holds_several(table):
    other = table.with_columns(
        pl.lit("mass_mean").alias("estimator"), pl.lit(False).alias("selected"), pl.col("estimate") - 0.1
    )
    both = pl.concat([other, table])
    assert traces(layer_profile(both)) == traces(layer_profile(table))


def test_missing_intervals_are_left_out_rather_than_drawn_as_zero(table):
    bare = table.with_columns(ci_low=pl.lit(None, pl.Float64), ci_high=pl.lit(None, pl.Float64))
    assert not [t for t in traces(layer_profile(bare)) if "interval" in (t["name"] or "")]
    line = next(t for t in traces(dose_response(bare)) if t["mode"] == "lines+markers")
    assert set(line["error_y"]["array"]) == {0.0}


def test_draw_picks_by_the_rows_and_takes_results(table):
    class Sweep(Result):
        pass

    sweep = Sweep()
    sweep.table = table.filter(pl.col("variant").is_in(["probe", "word_ngrams"]))
    assert kinds(sweep) == ["layer_profile"]
    assert sweep.figure().kind == "layer_profile"
    assert draw(table).kind == "transfer_matrix"
    assert list(draw_all(table, order=STAGES, parents=PARENTS)) == [
        "layer_profile", "choice_rates", "steering_profile", "dose_response", "survival_curves",
        "transfer_auroc", "transfer_cosine", "transfer_cosine_whitened", "transfer_steering",
    ]  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS)
def test_type_is_readable_at_the_final_width(table, preset):
    for figure in draw_all(table, order=STAGES, parents=PARENTS, preset=preset).values():
        assert figure.width == round(PRESETS[preset].width * 96)
        sizes = []

        def collect(node, sizes=sizes):
            if isinstance(node, dict):
                sizes += [node["size"]] if "size" in node and "color" in node and "symbol" not in node else []
                for key, inner in node.items():
                    if key in ("font", "tickfont") and "size" in inner:
                        sizes.append(inner["size"])
                    collect(inner)
            elif isinstance(node, list | tuple):
                for inner in node:
                    collect(inner)

        collect(figure.plotly.to_dict()["layout"])
        assert sizes
        assert min(sizes) * 72 / 96 >= 7 - 1e-9


def test_captions_say_n(table):
    for figure in draw_all(table).values():
        assert "n = 1" in figure.caption
        assert figure.reading
        assert figure.caveat
        assert figure.alt
    assert (
        "n not recorded"
        in choice_rates(
            table.with_columns(n_pairs=pl.lit(None, pl.Int64), n_seeds=pl.lit(None, pl.Int64))
        ).caption
    )


def test_names_with_markup_stay_text(table):
    nasty = "<b>x</b><script>alert(1)</script>"
    renamed = table.with_columns(pl.col("stage").replace("base", nasty))
    page = layer_profile(renamed).html(include_js=False)
    assert "<script>alert" not in page
    assert "<b>x" not in json.dumps(layer_profile(renamed).plotly.to_dict()["layout"]["annotations"])


def test_a_browser_that_hangs_is_given_up(table, tmp_path, monkeypatch):
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\nexec sleep 20\n")
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(browser))
    monkeypatch.setattr("probes.figures.export.PATIENCE", 0.5)
    with pytest.raises(MissingDependencyError, match="did not answer in 1 s"):
        choice_rates(table).export(tmp_path / "figure.png")
    assert not (tmp_path / "figure.png").exists()


def test_html_export_needs_no_browser(table, tmp_path, monkeypatch):
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "nothing"))
    path = choice_rates(table).export(tmp_path / "new" / "rates.html")
    page = path.read_text()
    assert page.lower().startswith("<!doctype html>")
    assert 'src="http' not in page
    assert [p.name for p in path.parent.iterdir()] == ["rates.html"]


def test_exports_that_cannot_be_written_are_refused(table, tmp_path, monkeypatch):
    figure = choice_rates(table)
    with pytest.raises(InputError, match="end the name in"):
        figure.export(tmp_path / "rates.tiff")
    with pytest.raises(InputError, match="no figure preset"):
        figure.export(tmp_path / "rates.html", preset="poster")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        figure.export(tmp_path / "file" / "rates.html")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "nothing"))
    with pytest.raises(MissingDependencyError, match="install one") as error:
        figure.export(tmp_path / "rates.pdf")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "rates.pdf").exists()


def browser() -> bool:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return any(shutil.which(name) for name in names)


@pytest.mark.skipif(not browser(), reason="no Chrome or Chromium on PATH: static images cannot be made")
def test_images_are_real_files_of_the_right_type_and_size(table, tmp_path):
    figures = {"rates": choice_rates(table), "matrix": transfer_matrix(table)}
    paths = export_all(figures, tmp_path, ["pdf", "svg", "png"], preset="neurips")
    assert [p.name for p in paths] == [f"{n}.{e}" for n in figures for e in ("pdf", "svg", "png")]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    for path in paths:
        content = path.read_bytes()
        if path.suffix == ".pdf":
            assert content.startswith(b"%PDF-")
            box = content.split(b"/MediaBox [", 1)[1].split(b"]", 1)[0].split()
            assert float(box[2]) == pytest.approx(5.5 * 72, abs=1.5)
        elif path.suffix == ".svg":
            assert ElementTree.fromstring(content).tag.endswith("svg")
            assert b"affordability" in content
        else:
            assert content.startswith(b"\x89PNG\r\n\x1a\n")
            assert int.from_bytes(content[16:20], "big") == pytest.approx(5.5 * 300, abs=2)


@pytest.mark.skipif(not browser(), reason="no Chrome or Chromium on PATH: static images cannot be made")
def test_a_drawing_exported_again_is_the_same_file(table, tmp_path):
    figures = {"one": choice_rates(table), "again": choice_rates(table), "other": transfer_matrix(table)}
    one, again, other = (path.read_bytes() for path in export_all(figures, tmp_path, ["svg"]))
    assert one == again
    # Two drawings in one page must not share the names that they refer to, and each must keep its own.
    named = [set(re.findall(rb'id="([^"]+)"', svg)) for svg in (one, other)]
    meant = [set(re.findall(rb"url\(['\"]?#([^'\")]+)", svg)) for svg in (one, other)]
    assert meant[0].isdisjoint(meant[1])
    for names, references in zip(named, meant, strict=True):
        assert references
        assert references <= names


def test_table_columns_are_the_schema(table):
    assert list(SCHEMA) == table.columns
