"""Behaviour: what every stage chooses on sets of items, and contrasts between stages.

It stands apart from the choices of a concept, because a claim about behaviour needs sets of items of its own
(held out, trained, implied, conflicting, about knowledge), answers item by item, and training arms that are
compared over their training seeds.
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

from probes.activations import AnyStage, RunContext, RunOptions, run_context
from probes.concepts import ChoiceItem
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.lineage import Lineage, LoadedStage, Stage
from probes.measure.formulas import formula
from probes.stats.estimates import Estimate, mean_interval
from probes.steering import score_choices
from probes.steering.choices import Score, chosen
from probes.steering.damage import nats_per_token
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
    "digest": pl.String,  # identifies weights and items, so that the same answers are not measured again
}
"""The columns of `Behaviour.items`: one row for each stage, item and score."""

ITEMS_AT_ONCE = 64
"""Items that are scored before the progress bar goes on; they share the tokens they begin with."""

MANUAL = "manual"
"""The name of the neutral texts that come with the toolkit (`probes.concepts.neutral.neutral_texts`)."""


@dataclass(frozen=True, repr=False)
class Behaviour(Result):
    """The answers of stages, item by item, and what they add up to.

    Example
    -------
    >>> answers = probes.behaviour(
    ...     lineage, {"prices": concept.choices}, {}, stages=["base", "mid"], progress=False
    ... )
    >>> answers
    Behaviour(2 stages, 10 items)
    >>> answers.table.filter(measure="choice_rate", variant="per_token").select("stage", "concept").rows()
    [('base', 'prices'), ('mid', 'prices')]
    """

    items: pl.DataFrame
    """One row for each stage, item and score, in the columns `ITEMS`."""

    def __repr__(self) -> str:
        n = self.items.select("set", "item").n_unique()
        return f"Behaviour({self.items['stage'].n_unique()} stages, {n} items)"

    @property
    def table(self) -> pl.DataFrame:
        """One row for each family of stages, set (in the column `concept`) and measure, over items and
        training seeds.

        The measures are `choice_rate` and `choice_logit`, with the variants `per_token` and `summed`, and the
        `perplexity` of sets of texts.
        """
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
        """A weighted sum over families of stages, paired by item and by training seed.

        `{"msm_aft": 1, "aft": -1}` is a difference. `{"msm_aft": 1, "aft": -1, "msm": -1, "base": 1}` is an
        interaction: it is above 0 where two trainings together do more than the sum of what each does. The
        training seeds are those that all stages share. A stage without a training seed (such as the base), or
        with one seed that no other stage has, is compared with every seed.

        Parameters
        ----------
        weights : family (the name of a stage without its training seed) -> weight.
        items : the name of the set.
        measure : "choice_rate", "choice_logit", or "log_perplexity" (of a set of texts, in nats per token).
        score : "per_token" or "summed" log-probabilities of the options.
        seed : the seed of the bootstrap.

        Returns
        -------
        The estimate with its 95% interval: a cluster bootstrap over items, with training seeds resampled as
        an outer level. Its n is the number of items.

        Raises
        ------
        InputError : there are no answers of a family on the set, or the stages share no training seed.

        Example
        -------
        >>> answers = probes.behaviour(
        ...     lineage, {"prices": concept.choices}, {}, stages=["base", "mid"], progress=False
        ... )
        >>> gain = answers.contrast({"mid": 1, "base": -1}, "prices", measure="choice_logit")
        >>> gain.low <= gain.value <= gain.high, gain.n
        (True, 10)
        """
        if score not in get_args(Score):
            raise InputError(f"score={score!r}: expected {' or '.join(get_args(Score))}")
        values, names, _ = self._stacked(weights, items, measure, score)
        weighted = np.tensordot(list(weights.values()), values, 1)
        bounds = (0.0, 1.0) if measure == "choice_rate" and list(weights.values()) == [1] else None
        return mean_interval(weighted, names, seed=seed, bounds=bounds)

    def seeds(self, weights: Mapping[str, float], items: str) -> int:
        """The number of training seeds behind a contrast."""
        return len(self._stacked(weights, items, None, None)[2])

    def rows(self, contrasts: Iterable[Mapping[str, float]], score: Score = "per_token") -> pl.DataFrame:
        """Contrasts of the choice rate on every set, as a result table; the column `stage` holds the formula.

        Parameters
        ----------
        contrasts : weights as in `contrast`, for each contrast.
        score : "per_token" or "summed" log-probabilities of the options.

        Example
        -------
        >>> answers = probes.behaviour(
        ...     lineage, {"prices": concept.choices}, {}, stages=["base", "mid"], progress=False
        ... )
        >>> answers.rows([{"mid": 1, "base": -1}])["stage"].to_list()
        ['mid - base']
        """
        names = self.items.filter(pl.col("score") == score)["set"].unique(maintain_order=True)
        return tidy(self._row("choice_rate", score, weights, name) for weights in contrasts for name in names)

    def _row(self, measure: str, variant: str, weights: Mapping[str, float], name: str) -> dict[str, Any]:
        """The row of a result table for one contrast on the set `name`."""
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
        """The values `[family, seed, item]`, the names of the items, and the training seeds."""
        answers = {family: self._seeded(family, name, measure, score) for family in weights}
        several = [set(by_seed) for by_seed in answers.values() if len(by_seed) > 1]
        all_seeds = set().union(*several)
        several += [
            set(by_seed) for by_seed in answers.values() if len(by_seed) == 1 and set(by_seed) <= all_seeds
        ]
        seeds: list[int | None] = sorted(set.intersection(*several)) if several else [None]
        if not seeds:
            raise InputError(
                f"{formula(weights)}: the stages share no training seed: expected at least one in common"
            )
        names = sorted(set.intersection(*(set(row) for by in answers.values() for row in by.values())))
        stacked = [
            [
                [(by_seed[s] if s in by_seed else next(iter(by_seed.values())))[n] for n in names]
                for s in seeds
            ]
            for by_seed in answers.values()
        ]
        return np.array(stacked, dtype=float), np.array(names), seeds

    def _seeded(
        self, family: str, name: str, measure: str | None, score: str | None
    ) -> dict[int | None, dict[str, float]]:
        """Training seed -> item -> value, of one family on one set."""
        rows = self._of(family, name)
        kind = "nats" if measure == "log_perplexity" else score
        rows = rows if kind is None else rows.filter(pl.col("score") == kind)
        if rows.is_empty():
            have = sorted({f"{f} on {s}" for f, s in self.items.select("family", "set").iter_rows()})
            raise InputError(
                f"no {measure or 'answers'} of {family!r} on {name!r}: there is {', '.join(have)}"
            )
        values = rows["value"].to_numpy()
        if measure == "choice_rate":
            values = chosen(values)
        by_seed: dict[int | None, dict[str, float]] = {}
        for train_seed, item, value in zip(rows["train_seed"], rows["item"], values, strict=True):
            by_seed.setdefault(train_seed, {})[item] = float(value)
        return by_seed


def _measures(rows: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """The measures, with their variants, that the answers of one family on one set are enough for."""
    for score in ("per_token", "summed"):
        if (rows["score"] == score).any():
            yield "choice_rate", score
            yield "choice_logit", score
    if (rows["score"] == "nats").any():
        yield "perplexity", "nats"


def behaviour(
    lineage: Lineage | AnyStage,
    sets: Mapping[str, Sequence[ChoiceItem]],
    texts: Mapping[str, Sequence[str]] | None = None,
    *,
    stages: Iterable[str] | None = None,
    keep: str | Path | None = None,
    **run: Unpack[RunOptions],
) -> Behaviour:
    """Score sets of choice items at every stage, in both orders, and measure the perplexity of texts.

    Parameters
    ----------
    lineage : the lineage whose stages answer, or one stage.
    sets : name -> choice items. An item's choice logit is averaged over both orders of presentation.
    texts : name -> plain texts, whose perplexity is measured; by default the toolkit's neutral texts under
        the name "manual". An empty mapping measures none.
    stages : only the stages of the lineage with these names; by default all.
    keep : a table (.parquet) in which answers are kept and looked up. It is written after every set, so
        that an interrupted call goes on where it stopped. Answers of retrained weights or changed items are
        measured again.
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    Behaviour, with `.items` (one row an answer) and `.table` (rates, logits and perplexities).

    Raises
    ------
    InputError : there are neither items nor texts, or items and texts have a name in common.
    Other errors are those of `probes.score_choices`.

    Example
    -------
    >>> answers = probes.behaviour(
    ...     lineage, {"prices": concept.choices}, {"plain": ["the chair was sold in Ohio"] * 2},
    ...     stages=["base", "mid"], keep=folder / "answers.parquet", progress=False,
    ... )
    >>> answers.items.select("stage", "set", "score").unique().height  # 2 stages, 2 scores and nats
    6
    """
    texts = {MANUAL: neutral_texts()} if texts is None else texts
    if not sets and not texts:
        raise InputError("neither sets of items nor texts were given: expected at least one of them")
    if empty := next((name for name, items in {**sets, **texts}.items() if not items), None):
        raise InputError(f"{empty}: holds nothing to ask: expected at least one item or text")
    if both := set(sets) & set(texts):
        raise InputError(f"{', '.join(sorted(both))}: names both items and texts: give them different names")
    chosen_stages: list[AnyStage]
    if isinstance(lineage, Lineage):
        chosen_stages = [lineage[name] for name in stages] if stages is not None else list(lineage)
    else:
        chosen_stages = [lineage]
    kept = pl.read_parquet(keep) if keep and Path(keep).exists() else pl.DataFrame(schema=ITEMS)
    tables: list[pl.DataFrame] = []
    for stage in chosen_stages:
        names, fingerprint = _names(stage), None if run.get("tokenizer") else _fingerprint(stage)
        options = _options(stage, run)
        digests = {
            name: _digest(fingerprint, name, rows, options) for name, rows in {**sets, **texts}.items()
        }
        of_stage = kept.filter(pl.col("digest").is_in(list(digests.values())))
        missing = [name for name, digest in digests.items() if digest not in set(of_stage["digest"])]
        if missing:
            context = run_context(stage, **run)
            total = sum(len(sets[name]) if name in sets else len(texts[name]) for name in missing)
            with tqdm(
                total=total, desc=names["stage"], unit="item", file=sys.stderr, disable=not context.progress
            ) as bar:
                for name in missing:
                    rows = (
                        _answers(context, sets[name], bar)
                        if name in sets
                        else _nats(context, texts[name], bar)
                    )
                    common = names | {"digest": digests[name], "set": name}
                    new = pl.DataFrame([common | row for row in rows], schema=ITEMS)
                    of_stage, kept = pl.concat([of_stage, new]), pl.concat([kept, new])
                    if keep and fingerprint:
                        write_table(kept, keep)
        columns = {key: pl.lit(value, ITEMS[key]) for key, value in names.items()}
        tables.append(of_stage.with_columns(**columns))
    return Behaviour(pl.concat(tables).sort("stage", "set", maintain_order=True))


def read_texts(path: str | Path) -> tuple[str, ...]:
    """The passages of a plain text file, one a line.

    Raises
    ------
    InputError : the file cannot be read, or holds no text.

    Example
    -------
    >>> path = folder / "plain.txt"
    >>> path.write_text("the chair was sold\\n\\na lamp\\n") > 0
    True
    >>> read_texts(path)
    ('the chair was sold', 'a lamp')
    """
    try:
        texts = tuple(
            line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()
        )
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    if not texts:
        raise InputError(f"{path}: the file holds no text: expected one passage a line")
    return texts


def _digest(fingerprint: str | None, name: str, rows: Sequence[Any], options: Sequence[str]) -> str:
    """A hash of what answers depend on: weights and tokenizer, options, and the set's name and rows."""
    content = [row.model_dump(exclude_none=True) if isinstance(row, ChoiceItem) else row for row in rows]
    return json_digest([fingerprint, *options, name, content])[:16]


def _answers(context: RunContext, items: Sequence[ChoiceItem], bar: Any) -> Iterator[dict[str, Any]]:
    """The rows of a stage's answers to items; the progress bar goes on as they are scored."""
    parts = []
    for start in range(0, len(items), ITEMS_AT_ONCE):
        parts.append(score_choices(context, items[start : start + ITEMS_AT_ONCE]))
        bar.update(len(parts[-1].ids))
    for score in get_args(Score):
        for item, value in zip(items, np.concatenate([part.logits(score) for part in parts]), strict=True):
            yield {"item": item.id, "domain": item.domain, "score": score, "value": float(value)}


def _nats(context: RunContext, texts: Sequence[str], bar: Any) -> Iterator[dict[str, Any]]:
    """The rows of the mean negative log-likelihood of texts, each over its own tokens but the first."""
    for number, value in enumerate(nats_per_token(context, texts)):
        yield {"item": f"{number:03d}", "score": "nats", "value": float(value)}
    bar.update(len(texts))


def _fingerprint(stage: AnyStage) -> str | None:
    """What identifies the weights that answer; None where nothing does."""
    if isinstance(stage, Stage):
        return stage.fingerprint()
    if isinstance(stage, RunContext):
        return None if stage.alteration() or stage.loaded is None else stage.loaded.fingerprint
    return stage.fingerprint if isinstance(stage, LoadedStage) and not stage.is_edited else None


def _options(stage: AnyStage, run: RunOptions) -> list[str]:
    """The options of the run that answers depend on."""
    if isinstance(stage, RunContext):
        dtype = next(stage.require_loaded().model.parameters()).dtype if stage.loaded else "unknown"
        options, render = [stage.backend, str(dtype).removeprefix("torch.")], stage.render
    else:
        options = [run.get("backend", "transformers"), run.get("dtype", "float32")]
        render = run.get("render", "shared")
    return options if render == "shared" else [*options, render]


def _names(stage: AnyStage) -> dict[str, Any]:
    """The columns that name a stage. A model given by hand is a family of its own."""
    loaded = stage.loaded if isinstance(stage, RunContext) else stage
    of_lineage = loaded.stage if isinstance(loaded, LoadedStage) else loaded
    if isinstance(of_lineage, Stage):
        return {
            "lineage": of_lineage.lineage.name,
            "stage": of_lineage.name,
            "family": of_lineage.family,
            "train_seed": of_lineage.seed,
        }
    name = getattr(stage, "name", "model")
    return {"lineage": None, "stage": name, "family": name, "train_seed": None}
