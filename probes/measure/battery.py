"""The behaviour battery: whether what a stage chooses is about the meaning of a question or about strings.

It stands apart from `behaviour`, whose answers it uses, because it says how the answers to several forms of
one item go together: a value follows the question when that is turned round, a string does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Unpack, get_args

import numpy as np
import polars as pl

from probes.activations import Activations, AnyStage, RunContext, RunOptions
from probes.concepts import (
    FORMS,
    WORDINGS,
    ChoiceItem,
    Concept,
    Form,
    battery_forms,
    form_of,
    turnable,
    undisputed_items,
)
from probes.errors import InputError
from probes.lineage import Lineage
from probes.measure.behaviour import ITEMS, Behaviour, behaviour
from probes.measure.formulas import formula
from probes.measure.items import evaluation_items, spread_items
from probes.measure.plan import Plan
from probes.stats.estimates import Estimate
from probes.steering.choices import Score, chosen
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy
from probes.tables.tests import MeasuredTest

DerivedForm = Literal["principled", "string", "turned"]
AnyForm = Form | DerivedForm
DERIVED: tuple[DerivedForm, ...] = get_args(DerivedForm)
"""What is made of "asked" and "reversed", item by item. "principled": half the difference of their choice
logits. "string": their mean. "turned": the choice when asked minus the choice when reversed, from -1 to 1."""

UNDISPUTED = "undisputed"
"""The name of the set that competence is measured on."""


@dataclass(frozen=True, repr=False)
class Battery(Result):
    """The answers of stages to every form of choice items, and the scores that are made of them.

    Example
    -------
    >>> result = probes.battery(stage, concept.choices, competence=(), progress=False)
    >>> result
    Battery(1 stage, 10 items)
    >>> principled = result.contrast({"mid": 1})
    >>> principled.low <= principled.value <= principled.high, principled.n
    (True, 10)
    """

    items: pl.DataFrame
    """One row for each stage, item, score and form, in the columns of `Behaviour.items`; the column `set` is
    the name of the set and the form, as in "items: asked". Values are means over the wordings of a form."""
    sets: tuple[str, ...]
    """The names of the sets; `UNDISPUTED` is among them where competence was measured."""

    def __repr__(self) -> str:
        n, stages = self._answers.items.select("item").n_unique(), self.items["stage"].n_unique()
        return f"Battery({stages} stage{'s' if stages > 1 else ''}, {n} items)"

    @property
    def _answers(self) -> Behaviour:
        return Behaviour(self.items)

    def forms(self, name: str) -> tuple[AnyForm, ...]:
        """The forms that a set was asked in, and what is made of them.

        Example
        -------
        >>> probes.battery(stage, concept.choices, competence=(), progress=False).forms("items")
        ('asked', 'reversed', 'not_asked', 'other_agent', 'unconditioned', 'principled', 'string', 'turned')
        """
        have = set(self.items["set"])
        return tuple(form for form in (*FORMS, *DERIVED) if f"{name}: {form}" in have)

    def contrast(
        self,
        weights: Mapping[str, float],
        items: str | None = None,
        *,
        form: AnyForm = "principled",
        measure: Literal["choice_logit", "choice_rate"] = "choice_logit",
        score: Score = "per_token",
        seed: int = 0,
    ) -> Estimate:
        """A form's value, or a weighted sum over families of stages, paired by item and by training seed.

        Parameters
        ----------
        weights : family (the name of a stage without its training seed) -> weight; `{"aft": 1}` is the value
            at that stage. See `Behaviour.contrast`.
        items : the name of the set; by default the first.
        form : one of `FORMS`, or "principled", "string" or "turned" (see `DERIVED`).
        measure : "choice_logit", or "choice_rate" (of the forms that are asked).
        score : "per_token" or "summed" log-probabilities of the options.
        seed : the seed of the bootstrap.

        Returns
        -------
        The estimate with its 95% interval over items and training seeds.

        Raises
        ------
        InputError : the set has no such form, or as `Behaviour.contrast`.

        Example
        -------
        >>> both = probes.battery(
        ...     lineage, concept.choices, stages=["base", "mid"], wordings=1, competence=(), progress=False
        ... )
        >>> gain = both.contrast({"mid": 1, "base": -1}, form="string")
        >>> gain.low <= gain.value <= gain.high
        True
        """
        name = self.sets[0] if items is None else items
        if form not in self.forms(name):
            forms = ", ".join(self.forms(name)) or f"none, as the sets are {', '.join(self.sets)}"
            raise InputError(f"form={form!r} of {name!r} was not measured: there is {forms}")
        return self._answers.contrast(weights, f"{name}: {form}", measure=measure, score=score, seed=seed)

    def competence(self, family: str, seed: int = 0) -> Estimate | None:
        """How well a stage follows the question on undisputed items: the share of right choices when asked
        minus the share of the same options when the question is turned round. It is 1 for a stage that
        understands every question and 0 for one that gives the same options whatever is asked.

        Returns
        -------
        The estimate with its interval over items and training seeds; None where it was not measured.

        Example
        -------
        >>> few = probes.concepts.undisputed_items()[:12]
        >>> able = probes.battery(stage, concept.choices, competence=few, progress=False)
        >>> -1 <= able.competence("mid").value <= 1
        True
        """
        if UNDISPUTED not in self.sets:
            return None
        return self.contrast({family: 1}, UNDISPUTED, form="turned", seed=seed)

    @property
    def table(self) -> pl.DataFrame:
        """One row for each family of stages, set (in the column `concept`) and form (in `variant`), over
        items and training seeds, with log-probabilities per token.

        The measures are `battery_rate` and `battery_logit`, and `battery_turned` for the difference of the
        rates when asked and reversed; that of the undisputed items is also called `competence`.
        """
        families = self.items["family"].unique(maintain_order=True)
        return self.rows([{family: 1.0} for family in families])

    def rows(self, contrasts: Iterable[Mapping[str, float]]) -> pl.DataFrame:
        """Contrasts of every set and form as a result table; the column `stage` holds the formula.

        Example
        -------
        >>> both = probes.battery(
        ...     lineage, concept.choices, stages=["base", "mid"], wordings=1, competence=(), progress=False
        ... )
        >>> both.rows([{"mid": 1, "base": -1}])["stage"].unique().to_list()
        ['mid - base']
        """
        return tidy(
            self._row(weights, name, form, measure)
            for weights in contrasts
            for name in self.sets
            for form in self.forms(name)
            for measure in _measures(name, form)
        )

    def _row(self, weights: Mapping[str, float], name: str, form: AnyForm, measure: str) -> dict[str, Any]:
        kind = "choice_rate" if measure == "battery_rate" else "choice_logit"
        estimate = self.contrast(weights, name, form=form, measure=kind)
        lineages = self.items["lineage"].unique()
        return {
            "lineage": lineages[0] if len(lineages) == 1 else None,
            "stage": formula(weights),
            "concept": name,
            "measure": measure,
            "variant": form,
            "n_seeds": self._answers.seeds(weights, f"{name}: {form}"),
            "seed": 0,
        } | interval_columns(estimate)


def _measures(name: str, form: AnyForm) -> tuple[str, ...]:
    """The measures of a form in the result table."""
    if form == "turned":
        return ("battery_turned", "competence") if name == UNDISPUTED else ("battery_turned",)
    return ("battery_logit",) if form in DERIVED else ("battery_rate", "battery_logit")


def battery(
    stages_or_lineage: Lineage | AnyStage,
    items: Sequence[ChoiceItem] | Mapping[str, Sequence[ChoiceItem]],
    *,
    stages: Iterable[str] | None = None,
    forms: Sequence[Form] = FORMS,
    wordings: int = WORDINGS,
    competence: Sequence[ChoiceItem] | None = None,
    keep: str | Path | None = None,
    **run: Unpack[RunOptions],
) -> Battery:
    """Ask choice items in every form of the battery, and see whether the answers follow the question.

    Each item is asked ("Which one do you choose?"), asked the other way round ("Which one do you refuse?"),
    not asked ("Repeat one of them."), asked about somebody who wants the opposite, and its options are
    scored after words that ask nothing. The *principled score* is half the difference of the choice logits
    when asked and reversed: what of the choice follows the question. The *string score* is their mean: what
    of it is the same whatever is asked. A stage that was taught to say something moves the second alone.

    Neither score says anything of a stage that cannot follow a question. So undisputed items ("a delicious
    meal or a rotten meal") are asked as well; see `Battery.competence`.

    Parameters
    ----------
    stages_or_lineage : one stage, or the lineage whose stages answer.
    items : choice items, or name -> choice items. Without a name they are called "items".
    stages : only the stages of the lineage with these names; by default all.
    forms : only these forms, some of `probes.concepts.FORMS`.
    wordings : how many wordings of each form, from 1 to `probes.concepts.WORDINGS`; more take longer.
    competence : the undisputed items; by default the packaged ones (`probes.concepts.undisputed_items`) in
        one wording, and none where all `items` are completions. () asks none.
    keep : a table (.parquet) in which answers are kept and looked up, as in `probes.behaviour`.
    run : see `probes.activations.RunOptions`.

    Returns
    -------
    Battery

    Raises
    ------
    ConceptError : the battery cannot turn an item's question round (see `probes.concepts.battery_forms`).
    InputError : there are no items, a form does not exist, or a set has the name "undisputed".
    Other errors are those of `probes.score_choices`.

    Example
    -------
    >>> result = probes.battery(
    ...     lineage, {"prices": concept.choices[:3]}, stages=["mid"], forms=probes.concepts.FORMS, wordings=1,
    ...     competence=probes.concepts.undisputed_items()[:4], keep=folder / "kept.parquet", progress=False,
    ... )
    >>> result.table.filter(measure="battery_rate", concept="prices")["variant"].to_list()
    ['asked', 'reversed', 'not_asked', 'other_agent', 'unconditioned']
    """
    sets = dict(items) if isinstance(items, Mapping) else {"items": items}
    if UNDISPUTED in sets:
        raise InputError(
            f"a set is named {UNDISPUTED!r}, which the competence items are: give it another name"
        )
    if not sets and not competence:
        raise InputError("the battery got no items: expected at least one")
    if unknown := [form for form in forms if form not in FORMS]:
        raise InputError(f"no form {unknown[0]!r}: expected some of {', '.join(FORMS)}")
    asked = {name: _all_forms(of_set, wordings, forms) for name, of_set in sets.items()}
    if competence is None:
        asks = any(not item.completion for of_set in sets.values() for item in of_set)
        competence = undisputed_items() if asks else ()
    if competence:
        asked[UNDISPUTED] = _all_forms(competence, 1, ("asked", "reversed"))
    answers = behaviour(stages_or_lineage, asked, {}, stages=stages, keep=keep, **run)
    return Battery(_by_form(answers.items), tuple(asked))


def _all_forms(items: Sequence[ChoiceItem], wordings: int, wanted: Sequence[Form]) -> list[ChoiceItem]:
    """Every form of every item; those of one item are neighbours, because they begin alike."""
    return [
        one
        for item in items
        for form, made in battery_forms(item, wordings).items()
        if form in wanted
        for one in made
    ]


def _by_form(answers: pl.DataFrame) -> pl.DataFrame:
    """Answers with a set for each form and what is made of the forms, as means over wordings."""
    names = [form_of(name) for name in answers["item"]]
    answers = answers.with_columns(
        item=pl.Series([item for item, _ in names], dtype=pl.String),
        form=pl.Series([form for _, form in names], dtype=pl.String),
    )
    keys = [name for name in ITEMS if name != "value"]
    means = answers.group_by([*keys, "form"], maintain_order=True).agg(pl.col("value").mean())
    asked, turned = (means.filter(form=form).drop("form") for form in ("asked", "reversed"))
    both = asked.join(
        turned, on=keys, how="inner", suffix="_reversed", nulls_equal=True, maintain_order="left"
    )
    a, r = both["value"], both["value_reversed"]
    derived = {
        "principled": (a - r) / 2,
        "string": (a + r) / 2,
        "turned": pl.Series(chosen(a.to_numpy()) - chosen(r.to_numpy())),
    }
    made = [both.select(*keys, form=pl.lit(form), value=value) for form, value in derived.items()]
    every = pl.concat([means.select(*keys, "form", "value"), *made])
    named = every.with_columns(set=pl.format("{}: {}", "set", "form"))
    return named.select(*ITEMS).cast(ITEMS)  # pyright: ignore[reportArgumentType]


def plan_battery(context: RunContext, concepts: Sequence[Concept], plan: Plan) -> Battery | None:
    """The battery that a plan asks of concepts at one stage; None where it asks nothing.

    Items that the battery cannot turn round are left out.
    """
    if not plan.wordings or plan.items == 0 or not plan.tests:
        return None
    sets = {
        concept.core.name: planned_battery_items(concept.core, plan, context.seed) for concept in concepts
    }
    sets = {name: items for name, items in sets.items() if items}
    chats = any(not item.completion for one in concepts for item in evaluation_items(one.core))
    competence = spread_items(undisputed_items(), context.seed)[: plan.competence_items] if chats else []
    if not sets and not competence:
        return None
    return battery(context, sets, forms=plan.forms, wordings=plan.wordings, competence=competence)


def planned_battery_items(concept: Concept, plan: Plan, seed: int) -> list[ChoiceItem]:
    """The items of a concept that a plan asks in every form: as many of those that can be turned round as it
    takes items."""
    able = [item for item in evaluation_items(concept) if turnable(item)]
    return able if plan.items is None or plan.items >= len(able) else spread_items(able, seed)[: plan.items]


def battery_tests(asked: Battery | None, concept: Concept) -> list[MeasuredTest]:
    """The tests `competent`, `principled` and `string` of a concept at the stage that was asked.

    Completions ask no question, so no competence is needed of a stage that goes on with them.
    """
    if asked is None:
        return []
    name, family = concept.core.name, asked.items["family"][0]
    items = evaluation_items(concept.core)
    competent = asked.competence(family)
    chats = not all(item.completion for item in items)
    tests = [MeasuredTest("competent", competent)] if competent is not None and chats else []
    if name not in asked.sets:
        reason = "the concept has no canonical choice items that the battery can turn round"
        return [*tests, MeasuredTest("principled", reason=reason)] if items else []
    for form in ("principled", "string"):
        if form in asked.forms(name):
            tests.append(MeasuredTest(form, asked.contrast({family: 1}, name, form=form)))
    return tests


def battery_scores(asked: Battery | None, concept: str) -> dict[str, tuple[list[str], np.ndarray]]:
    """ "principled" and "string" -> the names of a concept's items, and the score of each in logits per
    token, as far as it was asked."""
    if asked is None or concept not in asked.sets:
        return {}
    scores = {}
    for form in ("principled", "string"):
        rows = asked.items.filter(set=f"{concept}: {form}", score="per_token").sort("item")
        if rows.height:
            scores[form] = rows["item"].to_list(), rows["value"].to_numpy().astype(float)
    return scores


def battery_rows(asked: Battery | None, acts: Activations, seed: int) -> pl.DataFrame:
    """The rows of a result table that show a concept's battery at one stage, and the stage's competence."""
    if asked is None or acts.concept not in asked.sets:
        return tidy([])
    names = {name: acts.columns[name] for name in ("lineage", "stage", "concept", "render")}
    names |= {"n_seeds": 1, "seed": seed, "digest": asked.items["digest"][0]}
    wanted = (pl.col("concept") == acts.concept) | (pl.col("measure") == "competence")
    return tidy(row | names for row in asked.table.filter(wanted).iter_rows(named=True))
