"""Dose-response: how choices change with the dose of a direction, beside random directions and the damage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl
import torch
from tqdm.auto import tqdm

from probes.activations import AnyStage, RunOptions, run_context
from probes.concepts import ChoiceItem
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.probing import Direction
from probes.steering.choices import Score, chosen
from probes.steering.columns import direction_columns, over_directions, over_items
from probes.steering.controls import p_among_random, random_directions, spaced
from probes.steering.damage import Damage, damages
from probes.steering.gradients import ChoiceGradients, choice_gradients
from probes.steering.interventions import Add
from probes.steering.packed import score_additions
from probes.steering.prompts import prompts_of
from probes.steering.slopes import Steerability, steerability
from probes.tables.result import Result
from probes.tables.schema import tidy

AUTO = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
"""The doses of `alphas="auto"`, in natural units."""
DAMAGE_LIMIT = 0.1
"""KL in nats per token above which Arditi et al. (2024, arXiv 2406.11717, appendix C) discard a direction."""
SLOPE_RANDOM = 100
"""Random directions that the slope is compared with at least; they cost one matrix product."""


@dataclass(repr=False)
class DoseResponse(Result):
    """Choice logits by dose, for a direction, its controls and random directions.

    Doses are in natural units: multiples of each direction's own `scale`.
    """

    ids: list[str]
    """`[item]`: the names of the items."""
    logits: dict[str, dict[float, np.ndarray]]
    """`logits[name][alpha]` is `[item]`, for "direction" and for each control by its name."""
    random: dict[float, np.ndarray]
    """`random[alpha]` is `[n_random, control item]`: the same for random directions, on `control_items`."""
    control_items: list[int]
    """The numbers of the items that random directions were tried on."""
    damage: dict[float, Damage]
    """The damage of each dose of the direction; empty where it was not measured."""
    limit: float
    """The KL, in nats per token, up to which a dose is `ok`."""
    slope: Steerability
    """The steerability at a dose of 0."""
    columns: dict[str, Any]
    """The columns of `.table` that are the same in every row."""

    def __repr__(self) -> str:
        doses = ", ".join(f"{a:+g}: {values.mean():.2f}" for a, values in self.logits["direction"].items())
        return f"DoseResponse(mean choice logit by dose: {doses})"

    @property
    def alphas(self) -> list[float]:
        """The doses of the direction."""
        return list(self.logits["direction"])

    @property
    def ok(self) -> dict[float, bool]:
        """Whether the damage of each dose is within `limit`. An effect of a dose where it is not does not
        count."""
        return {alpha: harm.mean_kl <= self.limit for alpha, harm in self.damage.items()}

    @property
    def p_values(self) -> dict[float, float]:
        """The two-sided p-value of the direction's effect at each dose, among those of random directions.

        An effect is the shift of the mean choice logit of the control items.
        """
        curve, rows = self.logits["direction"], self.control_items
        p_values = {}
        for alpha, random in self.random.items():
            if alpha in curve:
                shift = (curve[alpha] - curve[0.0])[rows].mean()
                p_values[alpha] = p_among_random(shift, (random - curve[0.0][rows]).mean(-1))
        return p_values

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
            intact = value(self.logits["direction"][0.0])
            intact_controls = intact[self.control_items]
            doses = {0.0: intact_controls[None]}
            doses |= {alpha: value(logits) for alpha, logits in self.random.items()}
            for alpha, random in doses.items() if self.random else ():
                means = intact.mean() + (random - intact_controls).mean(-1)
                columns = over_directions(means, [self.ids[i] for i in self.control_items])
                rows.append({"measure": measure, "variant": "random_direction", "alpha": alpha} | columns)
        for alpha, p in self.p_values.items():
            rows.append(
                {"measure": "dose_p", "alpha": alpha, "estimate": p, "n_pairs": len(self.control_items)}
            )
        for alpha, harm in self.damage.items():
            texts = {"alpha": alpha, "n_pairs": len(harm.kl)}
            kl = over_items(harm.kl, range(len(harm.kl)), seed=self.columns["seed"])
            rows.append(texts | {"measure": "kl"} | kl)
            rows.append(texts | {"measure": "perplexity_ratio", "estimate": harm.perplexity_ratio})
            rows.append(texts | {"measure": "within_damage_limit", "estimate": float(self.ok[alpha])})
        return pl.concat(
            [tidy(self.columns | {"variant": "direction"} | row for row in rows), self.slope.table]
        )


def steer(
    stage: AnyStage,
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
    """Steer along a direction at several doses, and score the choices at each.

    At every token of the direction's site, `alpha * scale * vector` is added. This is activation addition
    (Turner et al. 2023, arXiv 2308.10248; Rimsky et al. 2023, arXiv 2312.06681).

    Parameters
    ----------
    stage : a stage, a loaded stage, a hooked model or a run context.
    direction : what is added, at the site where it was fitted.
    items : the choice items that are scored.
    alphas : the doses, in natural units (the direction's `scale`); "auto" is -4, -2, -1, 0, 1, 2, 4. The dose
        0 is always measured.
    n_random : the number of random directions of the same norm, which are added at `control_alphas`. With 0
        there are none; the slope at a dose of 0 is compared with 100 all the same.
    controls : further directions by name (another concept's, or one from shuffled labels), which are added at
        `control_alphas`, each at its own site and in units of its own scale.
    control_alphas : the doses of the controls; "extremes" takes the lowest and the highest of `alphas`.
    control_items : the number of items that random directions are tried on, spaced evenly over all items, so
        that they cost little more than the curve itself; None takes all.
    damage : whether KL and perplexity are measured at each dose on `n_texts` neutral texts.
    limit : the KL, in nats per token, up to which a dose is `ok`.
    n_texts : the number of neutral texts.
    score : "summed" or "per_token", as in `score_choices`.
    system : a text for the system message, under which everything is then measured.
    concept : the concept that `items` are about, where it is not the direction's own.
    gradients : `choice_gradients` of this stage for `items`, at the direction's site, where they were
        computed before; the slope and the intact choices are then taken from them.
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    DoseResponse. The rows of its table are:

    - `choice_logit` and `choice_rate` by dose, for "direction", for each control, and for "random_direction".
      The latter is the intact value of all items plus the shift on the control items: the mean over random
      directions, and the range from 2.5 to 97.5% of them.
    - `dose_p`, the p-value of each dose among the random directions.
    - `kl` (nats per token, with an interval over texts), `perplexity_ratio` and `within_damage_limit`.
    - the rows of `steerability`.

    Raises
    ------
    InputError : a dose is not finite, the direction has length zero, or `gradients` do not hold the items.
    SiteError : the model has no such site, or another width.
    Other errors are those of `score_choices`.

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
        raise InputError(f"n_random={n_random}: expected 20 or more, or 0 for no random directions")
    if not np.any(direction.vector):
        raise InputError(
            "the direction has length zero, because the classes it was fitted on did not differ: "
            "give another direction"
        )
    doses = _doses(AUTO if isinstance(alphas, str) else alphas, "alphas")
    extremes = (doses[0], doses[-1])
    control_doses = _doses(extremes if isinstance(control_alphas, str) else control_alphas, "control_alphas")
    control_doses.remove(0.0)
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
    all_rows, control_rows = range(len(prompts)), spaced(len(prompts), control_items)
    controls = dict(controls or {})
    bar = tqdm(
        total=len(doses) - 1 + len(control_doses) * (len(controls) + n_random),
        desc=f"steer · {context.name}",
        disable=not context.progress,
        leave=False,
    )

    def logits(additions: Sequence[Add], rows: Sequence[int]) -> np.ndarray:
        """`[addition, item]`: the choice logits of the items `rows`; all additions are at one site."""
        vectors = torch.stack([addition.shift for addition in additions])
        of_rows = [prompts[i] for i in rows]
        scores = score_additions(context.model, of_rows, additions[0].site, vectors, context.tokens(2048))
        bar.update(len(additions))
        return scores[int(score == "per_token")].nanmean(-1).numpy()

    intact = gradients.scores.logits(score)
    curves: dict[str, dict[float, np.ndarray]] = {}
    random: dict[float, np.ndarray] = {}
    with bar:
        for name, v, at in [
            ("direction", direction, doses),
            *((name, control, sorted([*control_doses, 0.0])) for name, control in controls.items()),
        ]:
            not_zero = [a for a in at if a]
            steered = logits([Add.along(v, a) for a in not_zero], all_rows)
            by_dose = dict(zip(not_zero, steered, strict=True))
            curves[name] = {a: by_dose.get(a, intact) for a in at}
        if n_random:
            vectors = random_directions(n_random, len(direction.vector), seed)
            additions = [Add(direction.site, v, a, direction.scale) for a in control_doses for v in vectors]
            steered = logits(additions, control_rows).reshape(len(control_doses), n_random, -1)
            random = dict(zip(control_doses, steered, strict=True))
    harm: dict[float, Damage] = {}
    if damage:
        variants = [[Add.along(direction, a)] if a else [] for a in doses]
        harm = dict(zip(doses, damages(context, variants, neutral_texts(n_texts)), strict=True))
    source = gradients.columns["digest"]
    inputs = (source, direction, controls, doses, control_doses, control_rows, n_random, seed)
    return DoseResponse(
        ids=gradients.scores.ids,
        logits=curves,
        random=random,
        control_items=control_rows,
        damage=harm,
        limit=limit,
        slope=slope,
        columns=gradients.columns | direction_columns(direction) | {"digest": context.digest(*inputs)},
    )


def _doses(alphas: Sequence[float], name: str) -> list[float]:
    """The doses in ascending order, without repeats, with 0 among them."""
    doses = sorted({0.0, *(float(alpha) for alpha in alphas)})
    if not np.isfinite(doses).all() or len(doses) < 2:
        raise InputError(f"{name}={list(alphas)}: expected finite doses, at least one of them not 0")
    return doses
