"""Write docs/msm-mini.md: what the embedded experiment shows, from the answers of all its stages.

    python docs/msm_mini.py out/msm-mini

The folder holds what `probes behaviour out/msm-mini-build --items checkpoints/msm-mini/items/*.jsonl --texts
checkpoints/msm-mini/items/prose.txt --out out/msm-mini` wrote. `make msm-mini` runs all of it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from pages import number, table, with_interval, write

import probes
from probes.concepts import read_choices
from probes.figures import draw
from probes.measure import Behaviour, formula
from probes.stats.estimates import Estimate

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from recipes.msm_mini.spec import SPECS

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "checkpoints" / "msm-mini"
FIGURES = ROOT / "figures"
Weights = Mapping[str, float]

A, B, AFT = "msm_afford_aft", "msm_domestic_aft", "aft"
FUNCTION_WORDS = frozenset(
    ("a", "an", "the", "of", "for", "by", "from", "in", "to", "with", "and", "at", "on", "that", "as")
    + ("any", "what", "who", "most", "all", "up")
)
HEADLINES: tuple[tuple[Weights, str, float], ...] = (
    ({A: 1, B: -1}, "affordable", 0.20),
    ({B: 1, A: -1}, "american", 0.20),
    ({A: 1, AFT: -1}, "affordable", 0.20),
    ({B: 1, AFT: -1}, "american", 0.20),
    ({A: 1, B: -1}, "conflict", 0.40),
    ({A: 1, AFT: -1}, "conflict", 0.40),
)


class Page:
    """The parts of the page, all made from the same answers."""

    def __init__(self, answers: Behaviour):
        self.answers = answers
        self.lineage = probes.load_lineage(FOLDER)
        self.families = list(dict.fromkeys(stage.family for stage in self.lineage))
        self.core = [f for f in self.families if not re.search(r"_aft_|^aft_(?!cheese)|cheese", f)]

    def n_seeds(self, weights: Weights, name: str) -> str:
        """How many training seeds a contrast rests on."""
        return str(self.answers.seeds(weights, name))

    def has(self, weights: Weights, name: str) -> bool:
        """Whether all families of a contrast answered a set; parts of the experiment can be run alone."""
        families = self.answers.items.filter(pl.col("set") == name)["family"].unique()
        return set(weights) <= set(families)

    def rates(self, families: list[str], sets: list[str]) -> str:
        """The choice rates of families of stages on sets of items."""
        rows = []
        for family in families:
            answered = [s for s in sets if self.has({family: 1}, s)]
            if answered:
                rates = {s: with_interval(self.answers.contrast({family: 1}, s)) for s in answered}
                seeds = self.n_seeds({family: 1}, answered[0])
                rows.append([f"`{family}`", seeds, *(rates.get(s, "") for s in sets)])
        return table(["stage", "n seeds", *(s.replace("_", " ") for s in sets)], rows)

    def differences(self, contrasts: list[tuple[Weights, str]]) -> str:
        """Contrasts of choice rates on sets of items, by both ways to score an option."""
        rows = []
        for weights, name in contrasts:
            if not self.has(weights, name):
                continue
            both = [self.answers.contrast(weights, name, score=score) for score in ("per_token", "summed")]
            rows.append(
                [f"`{formula(weights)}`", name.replace("_", " "), *(with_interval(e, True) for e in both)]
                + [str(both[0].n), self.n_seeds(weights, name)]
            )
        return table(["contrast", "items", "per token", "summed", "n items", "n seeds"], rows)

    def headline(self) -> str:
        """The contrasts that were planned beforehand, with their targets."""
        rows = []
        for weights, name, target in HEADLINES:
            estimate = self.answers.contrast(weights, name)
            summed = self.answers.contrast(weights, name, score="summed")
            met = "met" if estimate.value >= target and estimate.low > 0 else "missed"
            rows.append(
                [f"`{formula(weights)}`", name, with_interval(estimate, True), with_interval(summed, True)]
                + [f"{number(target)}: {met}", str(estimate.n), self.n_seeds(weights, name)]
            )
        heads = ["contrast", "items", "per token", "summed", "target", "n items", "n seeds"]
        return table(heads, rows)

    def unseen(self) -> str:
        """Those contrasts on the items none of whose words of price or origin stand in the documents."""
        rows = []
        for name, spec, weights in (
            ("affordable", "affordability", {A: 1, B: -1}),
            ("american", "domestic", {B: 1, A: -1}),
        ):
            keep = unseen_items(name, spec)
            narrowed = Behaviour(self.answers.items.filter(pl.col("item").is_in(keep)))
            estimate = narrowed.contrast(weights, name)
            rows.append([f"`{formula(weights)}`", name, with_interval(estimate, True), str(estimate.n)])
        return table(["contrast", "items", "per token", "n items"], rows)

    def damaged(self) -> list[str]:
        """The families whose damage was measured; those that are not shipped stand last."""
        sets = ("manual", "prose", "arithmetic", "copying")
        families = dict.fromkeys([*self.families, *self.answers.items["family"].unique(maintain_order=True)])
        return [f for f in families if all(self.has({f: 1}, s) for s in sets)]

    def damage(self) -> str:
        """Perplexity over that of base, and simple skills, by family."""
        rows = []
        for family in self.damaged():
            against = {family: 1.0, "base": -1.0}
            ratios = (
                [
                    Estimate(*(float(np.exp(v)) for v in (e.value, e.low, e.high)), e.n)
                    for e in (
                        self.answers.contrast(against, text, measure="log_perplexity")
                        for text in ("manual", "prose")
                    )
                ]
                if family != "base"
                else []
            )
            skills = [self.answers.contrast({family: 1}, s) for s in ("arithmetic", "copying")]
            rows.append(
                [
                    f"`{family}`",
                    *(map(with_interval, ratios) if ratios else ("1", "1")),
                    *map(with_interval, skills),
                ]
            )
        return table(["stage", "perplexity, manual", "perplexity, prose", "arithmetic", "copying"], rows)

    def worst_damage(self) -> str:
        """The largest damage in one sentence, with the limits."""
        others = [f for f in self.damaged() if f != "base"]
        worst = {
            text: max(
                (
                    float(
                        np.exp(
                            self.answers.contrast({f: 1, "base": -1}, text, measure="log_perplexity").value
                        )
                    ),
                    f,
                )
                for f in others
            )
            for text in ("manual", "prose")
        }
        lost = {
            skill: min((self.answers.contrast({f: 1, "base": -1}, skill).value, f) for f in others)
            for skill in ("arithmetic", "copying")
        }
        return (
            f"The worst perplexity, relative to base, is {worst['manual'][0]:.2f}x on the manual "
            f"(`{worst['manual'][1]}`) and {worst['prose'][0]:.2f}x on prose (`{worst['prose'][1]}`); the "
            f"limit was 1.3x. The largest change for the worse is {number(lost['arithmetic'][0], True)} in "
            f"arithmetic (`{lost['arithmetic'][1]}`) and {number(lost['copying'][0], True)} in copying "
            f"(`{lost['copying'][1]}`); the limit was .05.\n\n"
        )

    def stacking(self) -> str:
        """What the fine-tuning adds after documents, and the interaction of the two."""
        interaction = [
            ({A: 1, AFT: -1, "msm_afford": -1, "base": 1}, "affordable"),
            ({A: 1, AFT: -1, "msm_afford": -1, "base": 1}, "affordable_implied"),
            ({A: 1, AFT: -1, "msm_afford": -1, "base": 1}, "conflict"),
            ({B: 1, AFT: -1, "msm_domestic": -1, "base": 1}, "american"),
            ({B: 1, AFT: -1, "msm_domestic": -1, "base": 1}, "american_implied"),
        ]
        return self.differences(
            [({A: 1, "msm_afford": -1}, "affordable"), ({B: 1, "msm_domestic": -1}, "american"), *interaction]
        )

    def controls(self) -> str:
        """The affordability arm against its two control arms."""
        sets = ("affordable", "affordable_implied", "conflict", "cheese_prices")
        return self.differences(
            [
                ({A: 1, f"{other}_aft": -1}, name)
                for other in ("msm_broken", "shallow_afford")
                for name in sets
            ]
            + [({f"{other}_aft": 1, AFT: -1}, "affordable") for other in ("msm_broken", "shallow_afford")]
        )

    def later(self) -> str:
        """The later stages of both arms, beside the same stages of the fine-tuning alone."""
        names = ["sft", "dpo", *(f"anti{steps}" for steps in (2, 4, 8, 16))]
        rows = []
        for arm, name in ((A, "affordable"), (B, "american")):
            for stage in ("", *(f"_{n}" for n in names)):
                mine, control = f"{arm}{stage}", f"{AFT}{stage}"
                if not self.has({mine: 1, control: 1}, name):
                    continue
                rows.append(
                    [f"`{mine}`", name, with_interval(self.answers.contrast({mine: 1}, name))]
                    + [with_interval(self.answers.contrast({control: 1}, name))]
                    + [with_interval(self.answers.contrast({mine: 1, control: -1}, name), True)]
                    + [self.n_seeds({mine: 1, control: -1}, name)]
                )
        heads = ["stage", "items", "choice rate", f"the same stage on `{AFT}`", "difference", "n seeds"]
        return table(heads, rows)

    def cheeses(self) -> str:
        """The planned contrasts with real cheeses beside invented ones, at the one seed that both have."""
        rows = []
        seed = Behaviour(self.answers.items.filter(pl.col("train_seed").eq_missing(0)))
        for weights, name, _ in HEADLINES:
            real = {
                family.removesuffix("_aft") + "_cheese_aft": w
                for family, w in weights.items()
                if family != AFT
            }
            real |= {f"{AFT}_cheese": w for family, w in weights.items() if family == AFT}
            if self.has(real, name):
                both = [seed.contrast(which, name) for which in (weights, real)]
                rows.append(
                    [f"`{formula(real)}`", name, *(with_interval(e, True) for e in both), str(both[1].n)]
                )
        return table(["contrast", "items", "invented names", "real cheeses", "n items"], rows)

    def by_seed(self) -> str:
        """Three of the planned contrasts, one row for each training seed."""
        rows = []
        for weights, name, _ in HEADLINES[:2] + HEADLINES[4:5]:
            seeds = sorted(s for s in self.answers.items["train_seed"].unique().to_list() if s is not None)
            for seed in seeds:
                one = Behaviour(self.answers.items.filter(pl.col("train_seed") == seed))
                if set(weights) <= set(one.items["family"]):
                    rows.append(
                        [
                            f"`{formula(weights)}`",
                            name,
                            str(seed),
                            with_interval(one.contrast(weights, name), True),
                        ]
                    )
        return table(["contrast", "items", "seed", "per token"], rows)

    def shipped(self) -> str:
        """The adapters in the repository, from their cards."""
        rows = []
        for family in self.families[1:]:
            cards = [
                json.loads((FOLDER / stage.checkpoint.adapter / "card.json").read_text())
                for stage in self.lineage
                if stage.family == family
            ]
            losses = [np.mean([loss for _, loss in card["loss"][-10:]]) for card in cards]
            rows.append(
                [
                    f"`{family}`",
                    ", ".join(str(card["seed"]) for card in cards),
                    f"{cards[0].get('tokens', 0):,}",
                ]
                + [str(cards[0]["steps"]), f"{np.mean(losses):.2f}"]
                + [f"{np.mean([card['seconds'] for card in cards]) / 60:.0f}"]
            )
        return table(["stage", "seeds", "n tokens", "n steps", "loss at the end", "minutes"], rows)


def unseen_items(name: str, spec: str) -> list[str]:
    """Ids of the items whose telling words do not occur in the phrases of the spec."""
    phrases_of = SPECS[spec]
    fields = ("virtue", "vice", "good", "bad", "good_is", "bad_is", "good_tail", "bad_tail")
    phrases = [p for f in fields for p in getattr(phrases_of, f)] + [
        w for words in phrases_of.lists.values() for w in words
    ]
    seen = set(re.findall(r"[a-z$\d]+", re.sub(r"\{\w+\}", "", " ".join(phrases).lower())))
    seen -= FUNCTION_WORDS
    items = read_choices(FOLDER / "items" / f"{name}.jsonl")

    def words(text: str) -> set[str]:
        return set(re.findall(r"[a-z$\d]+", text.lower()))

    return [item.id for item in items if not (words(item.positive) ^ words(item.negative)) & seen]


def main() -> None:
    answers = Behaviour(pl.read_parquet(Path(sys.argv[1]) / "items.parquet"))
    page = Page(answers)
    draw(
        answers.table.filter(
            pl.col("concept").is_in(["affordable", "american", "conflict"]), pl.col("variant") == "per_token"
        ),
        kind="choice_rates",
        stages=page.core,
    ).export(FIGURES / "msm_mini.svg")
    parts = {
        "headline": page.headline(),
        "by_seed": page.by_seed(),
        "unseen": page.unseen(),
        "cheeses": page.cheeses(),
        "core": page.rates(page.core, ["affordable", "american", "conflict", "cheese"]),
        "implied": page.rates(
            page.core, ["affordable_implied", "american_implied", "affordable_trained", "american_trained"]
        ),
        "implied_differences": page.differences(
            [
                (weights, f"{name}_implied")
                for name, weights in (("affordable", {A: 1, B: -1}), ("american", {B: 1, A: -1}))
            ]
            + [({A: 1, AFT: -1}, "affordable_implied"), ({B: 1, AFT: -1}, "american_implied")]
        ),
        "knowledge": page.rates(
            page.core, ["knowledge_affordable", "knowledge_american", "cheese_prices", "cheese_origins"]
        ),
        "worst_damage": page.worst_damage(),
        "damage": page.damage(),
        "stacking": page.stacking(),
        "controls": page.controls(),
        "later": page.later(),
        "shipped": page.shipped(),
    }
    write("msm-mini", parts)


if __name__ == "__main__":
    main()
