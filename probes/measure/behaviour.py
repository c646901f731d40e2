"""Behaviour: what every stage chooses on sets of items, and contrasts between stages over items and seeds.

Apart from the choices of a concept because a behavioural claim needs item sets of its own (held out, trained,
implied, conflicting, knowledge, damage), answers item by item, and arms compared over training seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack, get_args

import numpy as np
import polars as pl
from tqdm import tqdm

from probes.activations import RunContext, RunOptions, run_context
from probes.concepts import ChoiceItem
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.lineage import Lineage, Stage
from probes.stats.estimates import Estimate, mean_interval
from probes.steering import score_choices
from probes.steering.choices import Score, chosen
from probes.steering.damage import damages
from probes.tables.digests import json_digest
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy
from probes.tables.writing import write_table

ITEMS: dict[str, Any] = {
    "lineage": pl.String,
    "stage": pl.String,
    "family": pl.String,  # the stage whatever its training seed (see `Stage.family`)
    "train_seed": pl.Int64,  # null for a stage that was trained once
    "set": pl.String,  # name of the item set, or of the texts
    "item": pl.String,
    "domain": pl.String,
    "score": pl.String,  # summed | per_token (choice logit, mean of both orders) | nats (per token)
    "value": pl.Float64,
    "digest": pl.String,  # weights and items: what is there already is not measured again
}

MANUAL = "manual"
"""Name of the neutral texts that come with the toolkit (`probes.steering.damage_texts`)."""


@dataclass(frozen=True, repr=False)
class Behaviour(Result):
    """Answers of stages, item by item (`items`, columns of `ITEMS`), and what they add up to.

    `.table` has, by family of stages and set (in the column `concept`), over items and training seeds:
    `choice_rate` and `choice_logit`, variants `per_token` and `summed`; `perplexity` of sets of texts.
    """

    items: pl.DataFrame

    def __repr__(self) -> str:
        n = self.items.select("set", "item").n_unique()
        return f"Behaviour({self.items['stage'].n_unique()} stages, {n} items)"

    @property
    def table(self) -> pl.DataFrame:
        rows = []
        names = self.items.select("family", "set").unique(maintain_order=True)
        for family, name in names.iter_rows():
            for measure, variant in _measures(self._of(family, name)):
                rows.append(self._row(measure, variant, {family: 1}, name))
        return tidy(rows)

    def contrast(
        self,
        weights: Mapping[str, float],
        items: str,
        *,
        measure: str = "choice_rate",
        score: Score = "per_token",
        seed: int = 0,
    ) -> Estimate:
        """A weighted sum over families of stages, paired by item and training seed.

        `{"msm_aft": 1, "aft": -1}` is a difference; `{"msm_aft": 1, "aft": -1, "msm": -1, "base": 1}` the
        interaction that tells stacking from adding. Intervals are a cluster bootstrap over items with the
        training seeds drawn in an outer loop, those that all stages share; a stage without a training seed
        (the base), or with one that no other stage has, stands beside every seed.

        Args:
            weights: family (stage name without its seed) -> weight.
            items: name of the set.
            measure: choice_rate, choice_logit, or log_perplexity (for a set of texts, in nats per token).
            score: "per_token" or "summed" log probabilities of the options.

        Raises InputError for a family, set or measure that is not there, or seeds that do not match.
        """
        if score not in get_args(Score):
            raise InputError(f"score={score!r}: expected {' or '.join(get_args(Score))}")
        values, names, _ = self._stacked(weights, items, measure, score)
        weighted = np.tensordot(list(weights.values()), values, 1)
        bounds = (0.0, 1.0) if measure == "choice_rate" and list(weights.values()) == [1] else None
        return mean_interval(weighted, names, seed=seed, bounds=bounds)

    def seeds(self, weights: Mapping[str, float], items: str) -> int:
        """Training seeds behind a contrast."""
        return len(self._stacked(weights, items, None, None)[2])

    def rows(self, contrasts: Iterable[Mapping[str, float]], score: Score = "per_token") -> pl.DataFrame:
        """Contrasts of the choice rate on every set as a tidy table; `stage` holds the formula."""
        names = self.items.filter(pl.col("score") == score)["set"].unique(maintain_order=True)
        return tidy(self._row("choice_rate", score, weights, name) for weights in contrasts for name in names)

    def _row(self, measure: str, variant: str, weights: Mapping[str, float], name: str) -> dict[str, Any]:
        if measure == "perplexity":
            log = self.contrast(weights, name, measure="log_perplexity")
            value, low, high = (float(np.exp(x)) for x in (log.value, log.low, log.high))
            estimate = Estimate(value, low, high, log.n)
        else:
            estimate = self.contrast(weights, name, measure=measure, score=variant)  # pyright: ignore[reportArgumentType]
        lineages = self.items["lineage"].unique()
        return {
            "lineage": lineages[0] if len(lineages) == 1 else None,
            "stage": formula(weights),
            "concept": name,
            "measure": measure,
            "variant": variant,
            "n_seeds": self.seeds(weights, name),
            "seed": 0,
        } | interval_columns(estimate)

    def _of(self, family: str, name: str) -> pl.DataFrame:
        return self.items.filter((pl.col("family") == family) & (pl.col("set") == name))

    def _stacked(
        self, weights: Mapping[str, float], name: str, measure: str | None, score: str | None
    ) -> tuple[np.ndarray, np.ndarray, list[int | None]]:
        """`[family, seed, item]` values, the items' names, and the seeds."""
        read = {family: self._seeded(family, name, measure, score) for family in weights}
        several = [set(by_seed) for by_seed in read.values() if len(by_seed) > 1]
        known = set().union(*several)
        several += [set(by_seed) for by_seed in read.values() if len(by_seed) == 1 and set(by_seed) <= known]
        seeds: list[int | None] = sorted(set.intersection(*several)) if several else [None]
        if not seeds:
            raise InputError(f"{formula(weights)}: the stages share no training seed")
        names = sorted(set.intersection(*(set(row) for by in read.values() for row in by.values())))
        stacked = [
            [
                [(by_seed[s] if s in by_seed else next(iter(by_seed.values())))[n] for n in names]
                for s in seeds
            ]
            for by_seed in read.values()
        ]
        return np.array(stacked, dtype=float), np.array(names), seeds

    def _seeded(
        self, family: str, name: str, measure: str | None, score: str | None
    ) -> dict[int | None, dict[str, float]]:
        """Training seed -> item -> value."""
        found = self._of(family, name)
        kind = "nats" if measure == "log_perplexity" else score
        found = found if kind is None else found.filter(pl.col("score") == kind)
        if found.is_empty():
            have = sorted({f"{f} on {s}" for f, s in self.items.select("family", "set").iter_rows()})
            raise InputError(
                f"no {measure or 'answers'} of {family!r} on {name!r}: there is {', '.join(have)}"
            )
        values = found["value"].to_numpy()
        if measure == "choice_rate":
            values = chosen(values)
        by_seed: dict[int | None, dict[str, float]] = {}
        for train_seed, item, value in zip(found["train_seed"], found["item"], values, strict=True):
            by_seed.setdefault(train_seed, {})[item] = float(value)
        return by_seed


def formula(weights: Mapping[str, float]) -> str:
    """`{"a": 1, "b": -1}` as "a - b"."""
    text = ""
    for name, weight in weights.items():
        size = "" if abs(weight) == 1 else f"{abs(weight):g} "
        sign = ("- " if weight < 0 else "") if not text else (" - " if weight < 0 else " + ")
        text += f"{sign}{size}{name}"
    return text


def read_formula(text: str) -> dict[str, float]:
    """ "a - b + c" as `{"a": 1, "b": -1, "c": 1}`. Raises InputError for anything but names, + and -."""
    words = text.split()
    signs = words[1::2]
    if len(words) % 2 == 0 or not set(signs) <= {"+", "-"} or {"+", "-"} & set(words[::2]):
        raise InputError(f"contrast {text!r}: expected names with + or - between them, like 'msm_aft - aft'")
    return dict(zip(words[::2], [1.0, *(1.0 if sign == "+" else -1.0 for sign in signs)], strict=True))


def _measures(found: pl.DataFrame) -> Iterator[tuple[str, str]]:
    for score in ("per_token", "summed"):
        if (found["score"] == score).any():
            yield "choice_rate", score
            yield "choice_logit", score
    if (found["score"] == "nats").any():
        yield "perplexity", "nats"


def behaviour(
    lineage: Lineage,
    sets: Mapping[str, Sequence[ChoiceItem]],
    texts: Mapping[str, Sequence[str]] | None = None,
    *,
    stages: Iterable[str] | None = None,
    keep: str | Path | None = None,
    **run: Unpack[RunOptions],
) -> Behaviour:
    """Ask every stage every item of `sets`, in both orders, and measure the perplexity of `texts`.

    Args:
        lineage: its stages are asked; `stages` narrows them.
        sets: name -> choice items; an item's choice logit is averaged over both orders of presentation.
        texts: name -> plain texts; default the toolkit's neutral texts under the name "manual". `{}`: none.
        keep: a table (.parquet) that answers are added to after every stage and looked up in: a call that
            was interrupted goes on where it stopped, and retrained weights or changed items are asked again.

    Raises:
        InputError: nothing to ask, or one name for items and for texts.
        Also what `score_choices` raises.
    """
    texts = {MANUAL: neutral_texts()} if texts is None else texts
    if not sets and not texts:
        raise InputError("no item sets and no texts: expected at least one")
    if both := set(sets) & set(texts):
        raise InputError(f"{', '.join(sorted(both))}: names both items and texts: expected different names")
    wanted = [lineage[name] for name in stages] if stages is not None else list(lineage)
    kept = pl.read_parquet(keep) if keep and Path(keep).exists() else pl.DataFrame(schema=ITEMS)
    done: list[pl.DataFrame] = []
    for stage in tqdm(
        wanted, desc="behaviour", unit="stage", file=sys.stderr, disable=not run.get("progress", True)
    ):
        digests = {
            name: _digest(
                stage, name, given, (run.get("backend", "transformers"), run.get("dtype", "float32"))
            )
            for name, given in {**sets, **texts}.items()
        }
        known = kept.filter(pl.col("digest").is_in(list(digests.values())))
        missing = [name for name, digest in digests.items() if digest not in set(known["digest"])]
        if missing:
            context = run_context(stage, **run)
            new_rows = [
                {"digest": digests[name], "set": name} | row
                for name in missing
                for row in (_answers(context, sets[name]) if name in sets else _nats(context, texts[name]))
            ]
            new = pl.DataFrame([_names(stage) | row for row in new_rows], schema=ITEMS)
            known, kept = pl.concat([known, new]), pl.concat([kept, new])
            if keep:
                write_table(kept, keep)
        names = {key: pl.lit(value, ITEMS[key]) for key, value in _names(stage).items()}
        done.append(known.with_columns(**names))
    return Behaviour(pl.concat(done).sort("stage", "set", maintain_order=True))


def read_texts(path: str | Path) -> tuple[str, ...]:
    """The passages of a plain text file, one a line. Raises InputError when it cannot be read or has none."""
    try:
        texts = tuple(
            line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()
        )
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    if not texts:
        raise InputError(f"{path}: holds no text: expected one passage a line")
    return texts


def _digest(stage: Stage, name: str, given: Sequence[Any], options: Sequence[str]) -> str:
    """Identifies answers: weights and tokenizer, how they are run, the set's name and its rows."""
    rows = [row.model_dump(exclude_none=True) if isinstance(row, ChoiceItem) else row for row in given]
    return json_digest([stage.fingerprint(), *options, name, rows])[:16]


def _answers(context: RunContext, items: Sequence[ChoiceItem]) -> Iterator[dict[str, Any]]:
    scores = score_choices(context, items)
    for score in get_args(Score):
        for item, value in zip(items, scores.logits(score), strict=True):
            yield {"item": item.id, "domain": item.domain, "score": score, "value": float(value)}


def _nats(context: RunContext, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    nats = damages(context, [()], texts)[0].nats
    for number, value in enumerate(nats):
        yield {"item": f"{number:03d}", "score": "nats", "value": float(value)}


def _names(stage: Stage) -> dict[str, Any]:
    return {
        "lineage": stage.lineage.name,
        "stage": stage.name,
        "family": stage.family,
        "train_seed": stage.seed,
    }
