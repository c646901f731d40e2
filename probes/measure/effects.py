"""Tests of whether choices depend on a direction: where to intervene, how far, and what that changes.

They stand apart from the tests of decodability, because they change the model where those only read it.
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
"""How far the AUROC of a layer, on the selection pairs, may be below the best and the layer still be
chosen."""


def intervention_layer(
    acts: Activations, sweep: LayerSweep, gradients: ChoiceGradients, ids: Sequence[str], seed: int
) -> int:
    """The layer to intervene at.

    Of the layers whose probe does almost as well on the selection pairs as the best (`NEAR_BEST`), it is the
    one whose direction moves the selection items most. Without selection items it is the best layer.

    Parameters
    ----------
    ids : the names of the selection items.
    """
    if not ids or not set(ids) <= set(gradients.scores.ids):
        return sweep.best.layer
    select, labels = split_rows(acts, seed).select, np.asarray(acts.labels).astype(int)
    aurocs = {
        layer: float(auroc(sweep.probes[layer].decision_function(values[select]), labels[select]))
        for layer, values in zip(acts.layers, acts.values, strict=True)
    }
    near = [layer for layer, value in aurocs.items() if value >= aurocs[sweep.best.layer] - NEAR_BEST]
    selection = gradients.of(ids, gradients.score)
    return max(near, key=lambda layer: float(selection.slopes(class_gap(acts, layer, seed)).mean()))


@dataclass(frozen=True)
class Dosed:
    """A direction, how far along it to intervene, and the damage which that does."""

    direction: Direction
    dose: float
    """In half class gaps."""
    kl: float
    """The KL to the intact model on neutral text, in nats per token."""

    @property
    def layer(self) -> int:
        """The index of the block of the direction's site."""
        return self.direction.site.layer or 0


def largest_harmless(context: RunContext, direction: Direction, plan: Plan) -> Dosed:
    """The direction with the largest of the plan's doses whose damage is within the plan's limit.

    Where even the smallest dose does more damage than that, the largest of all is taken; its `kl` shows it.
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
    """The tests `sufficient` and `specific`: what adding the direction does to the choices.

    The effect is taken to first order, as a share of the mean absolute choice logit. It is compared with the
    effects of random directions of the same norm at the same layer, and with those of the directions of other
    concepts, each added by the same part of its own half gap. (At one norm, a concept that is hardly there
    would count as much as one that is: its direction is what noise leaves, which lies where the model moves
    most.)

    Parameters
    ----------
    gradients : those of the items that are tested.
    others : the name of another concept -> its direction.

    Returns
    -------
    The effect on every item, `[item]`, and the two tests.
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
    """The test `necessary`: what the choices lose with the direction held half way between the classes.

    Parameters
    ----------
    half_way : `[width]`, the activation whose projection is held.
    """
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
