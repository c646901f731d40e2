"""Necessity: what is left of a choice once a direction cannot be used, beside random ones and the damage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
import polars as pl
import torch
from torch import Tensor
from tqdm.auto import tqdm

from probes.activations import RunContext, RunOptions, run_context
from probes.concepts import ChoiceItem
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.models import HookedModel, Site, SiteKind, TokenBatch
from probes.steering.choices import Score, over_items
from probes.steering.damage import Damage, damages
from probes.steering.dose import DAMAGE_LIMIT, spaced
from probes.steering.interventions import Ablate, after_first, everywhere
from probes.steering.packed import score_prompts
from probes.steering.prompts import prompts_of
from probes.steering.slopes import ablation_slopes, direction_columns, random_directions, spread
from probes.tables.result import Result
from probes.tables.schema import tidy

if TYPE_CHECKING:
    from probes.probing import Direction

WRITERS: tuple[SiteKind, ...] = ("resid_pre", "attn_out", "mlp_out")


@dataclass(repr=False)
class Ablation(Result):
    """Choice logits with a direction taken out, `[item]` by name ("direction" and each control).

    `unpushed` is `[item]`; `random` `[n_random, control item]`, for the items `control_items`; `damage` the
    direction's on neutral text, `ok` whether it is within `limit` nats of KL per token.
    """

    ids: list[str]
    unpushed: np.ndarray
    logits: dict[str, np.ndarray]
    random: np.ndarray
    control_items: list[int]
    damage: Damage
    limit: float
    columns: dict[str, Any]

    def __repr__(self) -> str:
        shift = (self.logits["direction"] - self.unpushed).mean()
        before = self.unpushed.mean()
        return f"Ablation(mean choice logit {before:.2f}, shift {shift:+.2f}, p={self.p_value:.3f})"

    @property
    def ok(self) -> bool:
        """An effect where the damage is over the limit does not count."""
        return self.damage.mean_kl <= self.limit

    @property
    def p_value(self) -> float:
        """Share of random directions whose loss shifts the mean choice logit of the control items at least as
        much (two-sided, add-one)."""
        few = self.control_items
        shift = abs((self.logits["direction"] - self.unpushed)[few].mean())
        shifts = np.abs((self.random - self.unpushed[few]).mean(-1))
        return float((1 + (shifts >= shift).sum()) / (1 + len(shifts)))

    @cached_property
    def table(self) -> pl.DataFrame:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `ablate` for its rows."""
        seed = self.columns["seed"]
        few = [self.ids[i] for i in self.control_items]
        rows = [
            {"measure": "ablation_shift", "variant": name}
            | over_items(left - self.unpushed, self.ids, seed=seed)
            for name, left in self.logits.items()
        ]
        shifts = (self.random - self.unpushed[self.control_items]).mean(-1)
        rows.append({"measure": "ablation_shift", "variant": "random_direction"} | spread(shifts, few))
        rows.append({"measure": "ablation_p", "estimate": self.p_value, "n_pairs": len(few)})
        texts = range(len(self.damage.kl))
        n_texts = {"n_pairs": len(texts)}
        rows.append({"measure": "ablation_kl"} | over_items(self.damage.kl, texts, seed=seed))
        rows.append(
            n_texts | {"measure": "ablation_perplexity_ratio", "estimate": self.damage.perplexity_ratio}
        )
        rows.append(n_texts | {"measure": "ablation_within_damage_limit", "estimate": float(self.ok)})
        return tidy(self.columns | {"variant": "direction"} | row for row in rows)


def ablate(
    stage: Any,
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
    """Score the choices with the direction held at its neutral value, and compare with intact scores.

    The projection of every token on it is set to that of the mean activation on neutral text, at each site:
    what carries no information goes, what the model merely adds to every token stays. The first token, an
    attention sink with a huge projection on almost anything, is left alone. (Ablating to zero at all tokens
    moves the choices of SmolLM2 by the damage it does, at a KL of half a nat.)

    Parameters
    ----------
    stage, direction, items, limit, score, system, concept, run : as in `steer`.
    where : "everywhere" holds it in the residual stream and in all that attention and MLPs write to it,
        at every layer (Arditi et al. 2406.11717); "site" at the direction's own site only, after which later
        layers may write it again.
    n_random : random directions taken out instead, on `control_items` of the items (spaced evenly; None for
        all).
    controls : further directions by name, taken out instead on all items.
    texts : neutral texts, where those of the toolkit (`n_texts` of them) are not neutral for the model.
    centre : an activation `[width]` whose projection is held in the choices instead, at the direction's own
        site: half way between the classes of the concept's own texts, say, where neutral text lies to one
        side of both. The damage is still that of holding neutral text at its own mean.
    first_order : what random directions do, to first order, from one backward for any number of them
        (`where="site"` only); the direction itself and `controls` are taken out in earnest all the same.

    Errors as in `steer`; "everywhere" also needs a direction of the residual stream's
    width (SiteError).

    Returns
    -------
    Rows `ablation_shift` (scores without the direction minus intact ones, paired by item; for
    "random_direction" mean and 2.5 to 97.5% over directions), `ablation_p`, and the damage of the ablation on
    the neutral texts: `ablation_kl`, `ablation_perplexity_ratio`, `ablation_within_damage_limit`.

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
    if n_random < 1:
        raise InputError(f"n_random={n_random}: expected at least 1, and 20 for a control worth the name")
    context = run_context(stage, **run)
    seed = context.seed
    prompts = prompts_of(items, context, system)
    few = spaced(len(prompts), control_items)
    named = {"direction": direction} | dict(controls or {})
    runs = 1 + len(named) + (0 if first_order else n_random)
    bar = tqdm(total=runs, desc=f"ablate · {context.name}", disable=not context.progress, leave=False)

    kinds = WRITERS if where == "everywhere" else None
    texts = neutral_texts(n_texts) if texts is None else texts
    sites = {push.site for v in named.values() for push in _pushes(v.vector, v.site, kinds, context.model)}
    means = neutral_means(context, sorted(sites), texts)

    def without(vector: np.ndarray, site: Site, centre: np.ndarray | None = centre) -> list[Ablate]:
        pushes = _pushes(vector, site, kinds, context.model)
        held = {push.site: means[push.site] if centre is None else centre for push in pushes}
        return [replace(push, mean=held[push.site], positions=after_first) for push in pushes]

    def logits(pushes: list[Ablate], which: Sequence[int]) -> np.ndarray:
        with context.model.intervene(*pushes):
            scores = score_prompts(context.model, [prompts[i] for i in which], context.tokens(2048))
        bar.update()
        return scores[int(score == "per_token")].nanmean(-1).numpy()

    everything = range(len(prompts))
    with bar:
        unpushed = logits([], everything)
        left = {name: logits(without(v.vector, v.site), everything) for name, v in named.items()}
        vectors = random_directions(n_random, len(direction.vector), seed)
        if first_order:
            held = means[direction.site] if centre is None else centre
            asked = [prompts[i] for i in few]
            random = unpushed[few] + ablation_slopes(
                context.model, asked, direction.site, held, vectors, score
            )
        else:
            random = np.stack([logits(without(vector, direction.site), few) for vector in vectors])
    columns = {
        "concept": concept or direction.concept,
        "render": context.render_name,
        "seed": seed,
        "digest": context.digest([p.sequences for p in prompts], named, where, score, few, n_random, seed),
    }
    return Ablation(
        ids=[p.id for p in prompts],
        unpushed=unpushed,
        logits=left,
        random=random,
        control_items=few,
        damage=damages(context, [without(direction.vector, direction.site, None)], texts)[0],
        limit=limit,
        columns=context.columns | columns | direction_columns(direction),
    )


def neutral_means(context: RunContext, sites: Sequence[Site], texts: Sequence[str]) -> dict[Site, Tensor]:
    """Mean activation `[width]` at each site over the tokens of `texts` but the first of each."""
    rows = [context.tokenizer(text)["input_ids"] for text in texts]
    context.check(token for row in rows for token in row)

    def total(values: Tensor, batch: TokenBatch) -> Tensor:
        return (values * after_first(batch.attention_mask)[..., None]).sum(1)

    batch = TokenBatch.pad(rows, context.pad_id)
    n_tokens = int(after_first(batch.attention_mask).sum())
    with torch.inference_mode():
        return {
            site: sums.sum(0) / n_tokens for site, sums in context.model.read(batch, sites, total).items()
        }


def _pushes(
    vector: np.ndarray, site: Site, kinds: Sequence[SiteKind] | None, model: HookedModel
) -> list[Ablate]:
    ablation = Ablate(site, vector)
    return everywhere(ablation, model, kinds) if kinds else [ablation]
