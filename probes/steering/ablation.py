"""Ablation: how choices change when a direction cannot be used, beside random directions and the damage.

An effect of the ablation says that the direction is necessary for the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Unpack

import numpy as np
import polars as pl
import torch
from torch import Tensor
from tqdm.auto import tqdm

from probes.activations import AnyStage, RunContext, RunOptions, run_context
from probes.concepts import ChoiceItem
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.lineage import text_ids
from probes.models import HookedModel, Site, SiteKind, TokenBatch
from probes.probing import Direction
from probes.steering.choices import Score
from probes.steering.columns import direction_columns, over_directions, over_items
from probes.steering.controls import p_among_random, random_directions, require_random, spaced
from probes.steering.damage import Damage, damages
from probes.steering.dose import DAMAGE_LIMIT
from probes.steering.gradients import ablation_slopes
from probes.steering.interventions import Ablate, after_first, everywhere
from probes.steering.packed import score_prompts
from probes.steering.prompts import prompts_of, render_column
from probes.tables.result import Result
from probes.tables.schema import tidy

WRITERS: tuple[SiteKind, ...] = ("resid_pre", "attn_out", "mlp_out")
"""The kinds of site at which a direction is ablated so that nothing writes it to the residual stream."""


@dataclass(repr=False)
class Ablation(Result):
    """Choice logits with a direction ablated, beside the intact ones and those under random directions."""

    ids: list[str]
    """`[item]`: the names of the items."""
    intact: np.ndarray
    """`[item]`: the choice logits of the model without an intervention."""
    logits: dict[str, np.ndarray]
    """`[item]`: the choice logits with "direction", or a control by its name, ablated."""
    random: np.ndarray
    """`[n_random, control item]`: the choice logits of `control_items` with random directions ablated."""
    control_items: list[int]
    """The numbers of the items that random directions were tried on."""
    damage: Damage
    """What ablating the direction does to the predictions on neutral text."""
    limit: float
    """The KL, in nats per token, up to which the ablation is `ok`."""
    columns: dict[str, Any]
    """The columns of `.table` that are the same in every row."""

    def __repr__(self) -> str:
        shift = (self.logits["direction"] - self.intact).mean()
        before = self.intact.mean()
        return f"Ablation(mean choice logit {before:.2f}, shift {shift:+.2f}, p={self.p_value:.3f})"

    @property
    def ok(self) -> bool:
        """Whether the damage is within `limit`. An effect where it is not does not count."""
        return self.damage.mean_kl <= self.limit

    @property
    def p_value(self) -> float:
        """The two-sided p-value of the direction's effect among those of random directions.

        An effect is the shift of the mean choice logit of the control items.
        """
        rows = self.control_items
        shift = (self.logits["direction"] - self.intact)[rows].mean()
        return p_among_random(shift, (self.random - self.intact[rows]).mean(-1))

    @cached_property
    def table(self) -> pl.DataFrame:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `ablate` for its rows."""
        seed = self.columns["seed"]
        control_ids = [self.ids[i] for i in self.control_items]
        rows = [
            {"measure": "ablation_shift", "variant": name}
            | over_items(ablated - self.intact, self.ids, seed=seed)
            for name, ablated in self.logits.items()
        ]
        shifts = (self.random - self.intact[self.control_items]).mean(-1)
        random = {"measure": "ablation_shift", "variant": "random_direction"}
        rows.append(random | over_directions(shifts, control_ids))
        rows.append({"measure": "ablation_p", "estimate": self.p_value, "n_pairs": len(control_ids)})
        texts = range(len(self.damage.kl))
        n_texts = {"n_pairs": len(texts)}
        rows.append({"measure": "ablation_kl"} | over_items(self.damage.kl, texts, seed=seed))
        rows.append(
            n_texts | {"measure": "ablation_perplexity_ratio", "estimate": self.damage.perplexity_ratio}
        )
        rows.append(n_texts | {"measure": "ablation_within_damage_limit", "estimate": float(self.ok)})
        return tidy(self.columns | {"variant": "direction"} | row for row in rows)


def ablate(
    stage: AnyStage,
    direction: Direction,
    items: Sequence[ChoiceItem],
    where: Literal["everywhere", "site"] = "everywhere",
    *,
    n_random: int = 20,
    controls: Mapping[str, Direction] | None = None,
    control_items: int | None = 8,
    limit: float = DAMAGE_LIMIT,
    n_texts: int = 16,
    texts: Sequence[str] | None = None,
    centre: np.ndarray | None = None,
    first_order: bool = False,
    score: Score = "summed",
    system: str | None = None,
    concept: str | None = None,
    **run: Unpack[RunOptions],
) -> Ablation:
    """Score the choices with a direction held at its neutral value, and compare with the intact scores.

    At each site, the projection of every token on the direction is set to that of the mean activation on
    neutral text. So what carries information is lost, and what the model adds to every token alike stays.
    The first token is left alone, because it is an attention sink with a huge projection on almost every
    direction. (Ablating to zero at all tokens moves the choices of SmolLM2 by the damage that it does, at a
    KL of half a nat.)

    Parameters
    ----------
    stage, direction, items, limit, score, system, concept, run : as in `steer`.
    where : "everywhere" ablates the direction in the residual stream and in all that attention and MLPs write
        to it, at every layer (Arditi et al. 2024, arXiv 2406.11717). "site" ablates it at its own site only,
        after which later layers may write it again.
    n_random : the number of random directions that are ablated instead.
    controls : further directions by name that are ablated instead, on all items.
    control_items : the number of items that random directions are tried on, spaced evenly over all items;
        None takes all.
    n_texts : the number of neutral texts of the toolkit that are used.
    texts : other neutral texts, where those of the toolkit are not neutral for the model.
    centre : `[width]`, an activation whose projection is held in the choices instead, with `where="site"`. It
        may lie half way between the classes of the concept's own texts, for example, where neutral text lies
        on one side of both. The damage is still that of holding neutral text at its own mean.
    first_order : whether the effects of random directions are taken to first order, from one backward for any
        number of them, with `where="site"`. The direction itself and `controls` are ablated all the same.

    Returns
    -------
    Ablation. The rows of its table are:

    - `ablation_shift`: scores under the ablation minus intact ones, paired by item; for "random_direction"
      the mean over directions, and the range from 2.5 to 97.5% of them.
    - `ablation_p`, the p-value of the shift among those of the random directions.
    - `ablation_kl`, `ablation_perplexity_ratio` and `ablation_within_damage_limit`: the damage on neutral
      text.

    Raises
    ------
    InputError : an option has no such value, or needs `where="site"`.
    SiteError : "everywhere" with a direction that is not as wide as the residual stream.
    Other errors are those of `steer`.

    Example
    -------
    >>> acts = probes.extract(stage, concept, controls=(), progress=False)
    >>> direction = probes.probe_layers(acts).best.direction
    >>> ablation = probes.ablate(
    ...     stage, direction, concept.choices, where="site", n_random=2, controls={}, control_items=4,
    ...     limit=0.1, n_texts=2, texts=["the plain chair was sold", "a book for the table"],
    ...     centre=acts.values[direction.site.layer].mean(0), first_order=True, score="summed", system=None,
    ...     concept="prices", progress=False,
    ... )
    >>> ablation.logits["direction"].shape, ablation.random.shape
    ((10,), (2, 4))
    """
    if where not in ("everywhere", "site"):
        raise InputError(f'where={where!r}: expected "everywhere" or "site"')
    if (centre is not None or first_order) and where != "site":
        raise InputError('centre and first_order are for one site: expected where="site" with them')
    require_random(n_random)
    context = run_context(stage, **run)
    seed = context.seed
    prompts = prompts_of(items, context, system)
    all_rows, control_rows = range(len(prompts)), spaced(len(prompts), control_items)
    named = {"direction": direction} | dict(controls or {})
    runs = 1 + len(named) + (0 if first_order else n_random)
    bar = tqdm(total=runs, desc=f"ablate · {context.name}", disable=not context.progress, leave=False)

    kinds = WRITERS if where == "everywhere" else None
    texts = neutral_texts(n_texts) if texts is None else texts
    sites = {one.site for v in named.values() for one in _ablations(v.vector, v.site, kinds, context.model)}
    means = neutral_means(context, sorted(sites), texts)

    def without(vector: np.ndarray, site: Site, centre: np.ndarray | None = centre) -> list[Ablate]:
        ablations = _ablations(vector, site, kinds, context.model)
        return [
            replace(one, mean=means[one.site] if centre is None else centre, positions=after_first)
            for one in ablations
        ]

    def logits(ablations: list[Ablate], rows: Sequence[int]) -> np.ndarray:
        with context.model.intervene(*ablations):
            scores = score_prompts(context.model, [prompts[i] for i in rows], context.tokens(2048))
        bar.update()
        return scores[int(score == "per_token")].nanmean(-1).numpy()

    with bar:
        intact = logits([], all_rows)
        ablated = {name: logits(without(v.vector, v.site), all_rows) for name, v in named.items()}
        vectors = random_directions(n_random, len(direction.vector), seed)
        if first_order:
            held = means[direction.site] if centre is None else centre
            control_prompts = [prompts[i] for i in control_rows]
            random = intact[control_rows] + ablation_slopes(
                context.model, control_prompts, direction.site, held, vectors, score
            )
        else:
            random = np.stack([logits(without(v, direction.site), control_rows) for v in vectors])
    inputs = ([p.sequences for p in prompts], named, where, score, control_rows, n_random, seed)
    columns = {
        "concept": concept or direction.concept,
        "render": render_column(items, context),
        "seed": seed,
        "digest": context.digest(*inputs),
    }
    return Ablation(
        ids=[p.id for p in prompts],
        intact=intact,
        logits=ablated,
        random=random,
        control_items=control_rows,
        damage=damages(context, [without(direction.vector, direction.site, None)], texts)[0],
        limit=limit,
        columns=context.columns | columns | direction_columns(direction),
    )


def neutral_means(context: RunContext, sites: Sequence[Site], texts: Sequence[str]) -> dict[Site, Tensor]:
    """The mean activation on neutral texts at each site, over all tokens but the first of each text.

    Returns
    -------
    Site -> `[width]`.

    Example
    -------
    >>> context = run_context(stage, progress=False)
    >>> means = neutral_means(context, [Site("resid_post", 1)], ["the plain chair", "a book for the table"])
    >>> tuple(means[Site("resid_post", 1)].shape)
    (32,)
    """
    rows = [text_ids(context.tokenizer, text) for text in texts]
    context.check(token for row in rows for token in row)

    def total(values: Tensor, batch: TokenBatch) -> Tensor:
        return (values * after_first(batch.attention_mask)[..., None]).sum(1)

    batch = TokenBatch.pad(rows, context.pad_id)
    n_tokens = int(after_first(batch.attention_mask).sum())
    with torch.inference_mode():
        return {
            site: sums.sum(0) / n_tokens for site, sums in context.model.read(batch, sites, total).items()
        }


def _ablations(
    vector: np.ndarray, site: Site, kinds: Sequence[SiteKind] | None, model: HookedModel
) -> list[Ablate]:
    """The ablation of a vector at its site, or at sites of these kinds at every layer."""
    ablation = Ablate(site, vector)
    return everywhere(ablation, model, kinds) if kinds else [ablation]
