"""Dose-response: what pushing along a direction does to choices, beside random ones and the damage done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
import polars as pl
import torch
from tqdm.auto import tqdm

from probes.activations import RunOptions, run_context
from probes.concepts import ChoiceItem
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.steering.choices import Score, chosen, over_items
from probes.steering.damage import Damage, damages
from probes.steering.interventions import Add
from probes.steering.packed import score_additions
from probes.steering.prompts import prompts_of
from probes.steering.slopes import (
    ChoiceGradients,
    Steerability,
    choice_gradients,
    direction_columns,
    random_directions,
    spread,
    steerability,
)
from probes.tables.result import Result
from probes.tables.schema import tidy

if TYPE_CHECKING:
    from probes.probing import Direction

AUTO = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
DAMAGE_LIMIT = 0.1
"""KL in nats per token above which Arditi et al. (2406.11717, appendix C) discard a direction."""
SLOPE_RANDOM = 100
"""Random directions the slope is compared with; they cost one matrix product."""


@dataclass(repr=False)
class DoseResponse(Result):
    """Choice logits by dose under a direction, its controls, and random directions.

    `logits[name][alpha]` is `[item]`, for "direction" and each control; `random[alpha]` is
    `[n_random, control item]`, for the items `control_items`. `damage[alpha]` is the direction's (empty where
    it was not measured), `limit` the KL up to which a dose is `ok`; `slope` is the steerability at no push.
    """

    ids: list[str]
    logits: dict[str, dict[float, np.ndarray]]
    random: dict[float, np.ndarray]
    control_items: list[int]
    damage: dict[float, Damage]
    limit: float
    slope: Steerability
    columns: dict[str, Any]

    def __repr__(self) -> str:
        doses = ", ".join(f"{a:+g}: {values.mean():.2f}" for a, values in self.logits["direction"].items())
        return f"DoseResponse(mean choice logit by dose: {doses})"

    @property
    def alphas(self) -> list[float]:
        """The direction's doses, in natural units."""
        return list(self.logits["direction"])

    @property
    def ok(self) -> dict[float, bool]:
        """Whether the damage at each dose is within `limit`; an effect where it is not does not count."""
        return {alpha: done.mean_kl <= self.limit for alpha, done in self.damage.items()}

    @property
    def p_values(self) -> dict[float, float]:
        """By dose, the share of random directions that shift the mean choice logit of the control items at
        least as much as the direction does (two-sided, add-one)."""
        curve, few = self.logits["direction"], self.control_items
        found = {}
        for alpha, random in self.random.items():
            if alpha in curve:
                shift = abs((curve[alpha] - curve[0.0])[few].mean())
                shifts = np.abs((random - curve[0.0][few]).mean(-1))
                found[alpha] = float((1 + (shifts >= shift).sum()) / (1 + len(shifts)))
        return found

    @cached_property
    def table(self) -> pl.DataFrame:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `steer` for its rows."""
        rows = []
        for measure, value in (("choice_logit", np.asarray), ("choice_rate", chosen)):
            rate = measure == "choice_rate"
            for name, curve in self.logits.items():
                for alpha, logits in curve.items():
                    columns = over_items(value(logits), self.ids, rate, self.columns["seed"])
                    rows.append({"measure": measure, "variant": name, "alpha": alpha} | columns)
            unpushed = value(self.logits["direction"][0.0])
            few = unpushed[self.control_items]
            doses = {0.0: few[None]} | {alpha: value(logits) for alpha, logits in self.random.items()}
            for alpha, random in doses.items() if self.random else ():
                means = unpushed.mean() + (random - few).mean(-1)
                columns = spread(means, [self.ids[i] for i in self.control_items])
                rows.append({"measure": measure, "variant": "random_direction", "alpha": alpha} | columns)
        for alpha, p in self.p_values.items():
            rows.append(
                {"measure": "dose_p", "alpha": alpha, "estimate": p, "n_pairs": len(self.control_items)}
            )
        for alpha, done in self.damage.items():
            texts = {"alpha": alpha, "n_pairs": len(done.kl)}
            kl = over_items(done.kl, range(len(done.kl)), seed=self.columns["seed"])
            rows.append(texts | {"measure": "kl"} | kl)
            rows.append(texts | {"measure": "perplexity_ratio", "estimate": done.perplexity_ratio})
            rows.append(texts | {"measure": "within_damage_limit", "estimate": float(self.ok[alpha])})
        return pl.concat(
            [tidy(self.columns | {"variant": "direction"} | row for row in rows), self.slope.table]
        )


def steer(
    stage: Any,
    direction: Direction,
    items: Sequence[ChoiceItem],
    alphas: Sequence[float] | Literal["auto"] = "auto",
    *,
    n_random: int = 20,
    controls: Mapping[str, Direction] | None = None,
    control_alphas: Sequence[float] | Literal["extremes"] = "extremes",
    control_items: int | None = 8,
    damage: bool = True,
    limit: float = DAMAGE_LIMIT,
    n_texts: int = 16,
    score: Score = "summed",
    system: str | None = None,
    concept: str | None = None,
    gradients: ChoiceGradients | None = None,
    **run: Unpack[RunOptions],
) -> DoseResponse:
    """Add `alpha * scale * vector` at every token of the direction's site and score the choices, by dose.

    This is activation addition (Turner et al. 2308.10248; Rimsky et al. 2312.06681).

    Parameters
    ----------
    stage : a stage, a loaded stage, a hooked model or a run context.
    direction : what is added, at the site it was fitted at.
    items : the choice items whose answers are scored.
    alphas : doses in natural units (the direction's `scale`); "auto" is -4, -2, -1, 0, 1, 2, 4. 0 is always
        measured.
    n_random : norm-matched random directions, at `control_alphas` on `control_items` of the items (spaced
        evenly; None for all), which keeps their cost near that of the curve. With 0 there are none at finite
        doses; the slope at no push is compared with 100 all the same.
    controls : further directions by name (another concept's, one from shuffled labels), at `control_alphas`
        on all items, each at its own site and in units of its own scale.
    damage, limit, n_texts : measure KL and perplexity at each dose on `n_texts` neutral texts, and call a
        dose `ok` up to `limit` nats of KL per token.
    system : text for the system message, under which everything is then measured.
    concept : whose choices `items` are, where that is not the direction's own concept.
    gradients : `choice_gradients` of this stage that hold `items` and the direction's site, where they are
        known already: the slope and the unpushed choices are then taken from them.

    score, run and errors as in `score_choices`; also InputError for a dose that is not finite or a
    direction of length zero, SiteError for a site or a width that the model does not have.

    Returns
    -------
    Rows by dose: `choice_logit` and `choice_rate` for "direction", the controls, and "random_direction" (mean
    and 2.5 to 97.5% over random directions of: the unpushed value of all items, plus the shift on the control
    items); `dose_p`; `kl` (nats per token, interval over texts), `perplexity_ratio`, `within_damage_limit`;
    and the rows of `steerability`.

    Example
    -------
    >>> sweep = probes.probe_layers(probes.extract(stage, concept, controls=(), progress=False))
    >>> other = sweep.directions[0]
    >>> curve = probes.steer(
    ...     stage, sweep.best.direction, concept.choices, alphas=[-2, 2], n_random=3,
    ...     controls={"layer 0": other}, control_alphas="extremes", control_items=4, damage=True, limit=0.1,
    ...     n_texts=2, score="summed", system="Be frugal.", concept="prices", gradients=None, progress=False,
    ... )
    >>> curve.alphas, curve.logits["layer 0"][2.0].shape, curve.random[2.0].shape
    ([-2.0, 0.0, 2.0], (10,), (3, 4))
    """
    if n_random < 0:
        raise InputError(f"n_random={n_random}: expected 20 or more, or 0 for none at finite doses")
    if not np.any(direction.vector):
        raise InputError("the direction has length zero: the classes it was fitted on did not differ")
    doses = _doses(AUTO if isinstance(alphas, str) else alphas, "alphas")
    extremes = (doses[0], doses[-1])
    pushed = _doses(extremes if isinstance(control_alphas, str) else control_alphas, "control_alphas")
    pushed.remove(0.0)
    context = run_context(stage, **run)
    seed = context.seed
    concept = concept or direction.concept
    if gradients is None:
        layer = 0 if direction.site.layer is None else direction.site.layer
        gradients = choice_gradients(
            replace(context, batch_tokens=None),
            items,
            layer,
            direction.site.kind,
            score=score,
            system=system,
            concept=concept,
        )
    else:
        gradients = gradients.of([item.id for item in items], score)
    slope = steerability(gradients, direction, max(n_random, SLOPE_RANDOM), seed)
    prompts = prompts_of(items, context, system)
    few = spaced(len(prompts), control_items)
    controls = dict(controls or {})
    bar = tqdm(
        total=len(doses) - 1 + len(pushed) * (len(controls) + n_random),
        desc=f"steer · {context.name}",
        disable=not context.progress,
        leave=False,
    )

    def logits(pushes: Sequence[Add], which: Sequence[int]) -> np.ndarray:
        """`[push, item]`, all pushes at one site."""
        vectors = torch.stack([push.shift for push in pushes])
        asked = [prompts[i] for i in which]
        scores = score_additions(context.model, asked, pushes[0].site, vectors, context.tokens(2048))
        bar.update(len(pushes))
        return scores[int(score == "per_token")].nanmean(-1).numpy()

    everything = range(len(prompts))
    unpushed = gradients.scores.logits(score)
    curves: dict[str, dict[float, np.ndarray]] = {}
    random: dict[float, np.ndarray] = {}
    with bar:
        for name, v, at in [
            ("direction", direction, doses),
            *((name, control, sorted([*pushed, 0.0])) for name, control in controls.items()),
        ]:
            given = [a for a in at if a]
            moved = dict(zip(given, logits([Add.along(v, a) for a in given], everything), strict=True))
            curves[name] = {a: moved.get(a, unpushed) for a in at}
        if n_random:
            vectors = random_directions(n_random, len(direction.vector), seed)
            pushes = [Add(direction.site, v, a, direction.scale) for a in pushed for v in vectors]
            random = dict(zip(pushed, logits(pushes, few).reshape(len(pushed), n_random, -1), strict=True))
    harm: dict[float, Damage] = {}
    if damage:
        arms = [[Add.along(direction, a)] if a else [] for a in doses]
        harm = dict(zip(doses, damages(context, arms, neutral_texts(n_texts)), strict=True))
    inputs = (gradients.columns["digest"], direction, controls, doses, pushed, few, n_random, seed)
    return DoseResponse(
        ids=gradients.scores.ids,
        logits=curves,
        random=random,
        control_items=few,
        damage=harm,
        limit=limit,
        slope=slope,
        columns=gradients.columns | direction_columns(direction) | {"digest": context.digest(*inputs)},
    )


def _doses(alphas: Sequence[float], name: str) -> list[float]:
    """Sorted, without repeats, 0 among them."""
    doses = sorted({0.0, *(float(alpha) for alpha in alphas)})
    if not np.isfinite(doses).all() or len(doses) < 2:
        raise InputError(f"{name}={list(alphas)}: expected finite doses, at least one of them not 0")
    return doses


def spaced(n: int, wanted: int | None) -> list[int]:
    """`wanted` indices of `n`, evenly spaced; all of them for None."""
    if wanted is not None and wanted < 1:
        raise InputError(f"control_items={wanted}: expected at least 1, or None for all")
    n_few = n if wanted is None else min(n, wanted)
    return [i * n // n_few for i in range(n_few)]
