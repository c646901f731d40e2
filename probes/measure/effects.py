"""Whether choices follow a direction: where to intervene, how far without damage, and what it changes.

It stands apart from the decodability of a concept because it acts on the model where that only reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from probes.activations import Activations, RunContext
from probes.concepts import ChoiceItem
from probes.measure.plan import Plan
from probes.probing import Direction, LayerSweep, class_gap, split_rows
from probes.stats.contrasts import push_effect
from probes.stats.estimates import auroc
from probes.steering import Add, ChoiceGradients, ablate
from probes.steering.controls import random_directions
from probes.steering.damage import damages
from probes.tables.tests import MeasuredTest

NEAR_BEST = 0.05
"""AUROC on the selection pairs by which a layer may fall short of the best and still be intervened at."""


def intervention_layer(
    acts: Activations, sweep: LayerSweep, gradients: ChoiceGradients, ids: Sequence[str], seed: int
) -> int:
    """The layer to intervene at.

    It is the one whose direction moves the selection items `ids` most, of the layers that read the selection
    pairs almost as well as the best does (`NEAR_BEST`); the best layer where there are no such items.
    """
    if not ids or not set(ids) <= set(gradients.scores.ids):
        return sweep.best.layer
    select, labels = split_rows(acts, seed).select, np.asarray(acts.labels).astype(int)
    aurocs = {
        layer: float(auroc(sweep.probes[layer].decision_function(values[select]), labels[select]))
        for layer, values in zip(acts.layers, acts.values, strict=True)
    }
    near = [layer for layer, value in aurocs.items() if value >= aurocs[sweep.best.layer] - NEAR_BEST]
    some = gradients.of(ids, gradients.score)
    return max(near, key=lambda layer: float(some.slopes(class_gap(acts, layer, seed)).mean()))


@dataclass(frozen=True)
class Dosed:
    """A direction and how far along it to intervene: `dose` in half class gaps, and `kl`, what that does to
    predictions on neutral text, in nats per token."""

    direction: Direction
    dose: float
    kl: float

    @property
    def layer(self) -> int:
        """Block index of the direction's site."""
        return self.direction.site.layer or 0


def largest_harmless(context: RunContext, direction: Direction, plan: Plan) -> Dosed:
    """The direction with the largest of the plan's doses that stays within its damage limit on neutral text.

    Where even the smallest does more damage than that, it is the largest of all, whose `kl` says so.
    """
    variants = [[Add.along(direction, dose * direction.gap / direction.scale)] for dose in plan.doses]
    damage = damages(context, variants, plan.damage_texts)
    doses = {dose: one.mean_kl for dose, one in zip(plan.doses, damage, strict=True)}
    within = [dose for dose, kl in doses.items() if kl <= plan.damage_limit]
    dose = max(within or doses)
    return Dosed(direction, dose, doses[dose])


def effect_tests(
    gradients: ChoiceGradients,
    dosed: Dosed,
    others: Mapping[str, Direction],
    plan: Plan,
    seed: int,
) -> tuple[np.ndarray, list[MeasuredTest]]:
    """What adding the direction does to the choice, to first order, as a share of the mean absolute logit.

    Beside it stand random directions of the same norm at the same layer, and the directions of other
    concepts, each added by the same part of its own half gap. (At one norm a concept that is hardly there
    would count as much as one that is: its direction is what noise leaves, which lies where the model moves
    most.)

    Returns the effect on every item `[item]`, and the tests `sufficient` and `specific`.
    """
    direction, dose = dosed.direction, dosed.dose
    size = np.abs(gradients.scores.logits(gradients.score)).mean()
    gradient = gradients.at(direction.site)
    length = dose * direction.gap / size
    effect = length * (gradient @ np.asarray(direction.vector, dtype=float))
    random = length * (random_directions(plan.n_random, gradient.shape[1], seed) @ gradient.T)
    other_effects = {
        name: dose * other.gap / size * (gradient @ np.asarray(other.vector, dtype=float))
        for name, other in others.items()
    }
    result = push_effect(effect, random, other_effects)
    sufficient = MeasuredTest(
        "sufficient",
        result.effect,
        p=result.p_random,
        chance=result.chance,
        layer=dosed.layer,
        dose=dose,
        n_random=result.n_random,
        kl=dosed.kl,
    )
    if result.specificity is None:
        return effect, [sufficient, MeasuredTest("specific", reason="no other concept was given")]
    gap = result.specificity.gap
    specific = replace(
        sufficient, test="specific", estimate=gap, p=gap.p, chance=None, against=result.specificity.name
    )
    return effect, [sufficient, specific]


def necessity_test(
    context: RunContext,
    direction: Direction,
    half_way: np.ndarray,
    items: Sequence[ChoiceItem],
    plan: Plan,
) -> MeasuredTest:
    """What the choice loses with the direction held half way between the classes at its layer."""
    ablation = ablate(
        context,
        direction,
        items,
        "site",
        centre=half_way,
        n_random=plan.n_random,
        first_order=True,
        control_items=None,
        limit=plan.damage_limit,
        texts=plan.damage_texts,
    )
    size = np.abs(ablation.intact).mean()
    lost = (ablation.intact - ablation.logits["direction"]) / size
    result = push_effect(lost, (ablation.intact - ablation.random) / size)
    return MeasuredTest(
        "necessary",
        result.effect,
        p=result.p_random,
        chance=result.chance,
        layer=direction.site.layer,
        n_random=result.n_random,
        kl=ablation.damage.mean_kl,
    )


def half_way(acts: Activations, layer: int, seed: int) -> np.ndarray:
    """The mean of both classes' mean activations on the training pairs, `[width]`."""
    train = split_rows(acts, seed).train
    values, labels = acts.values[acts.layers.index(layer)][train], np.asarray(acts.labels)[train]
    return np.mean([values[labels == k].mean(0) for k in (0, 1)], axis=0)
