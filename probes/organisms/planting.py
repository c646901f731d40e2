"""Planting model organisms: lineages of tiny models, trained so that what they do with a concept is known."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from probes.concepts import Concept
from probes.errors import InputError, OutputError
from probes.lineage import Lineage, load_lineage
from probes.lineage.manifest import write_manifest
from probes.lineage.records import FolderCheckpoint, Heading, Manifest, StageRecord
from probes.organisms.checking import Expected, Facts, measure_facts, shortfalls
from probes.organisms.language import Language
from probes.organisms.later import LATER, Later, PlantedSurvival, model_after
from probes.organisms.lessons import Lesson
from probes.organisms.material import cue_concept, latent_concept
from probes.organisms.transforms import save_stage
from probes.organisms.tuning import BATCH, SIZES, Size, fresh_model, train

Kind = Literal["internal", "inherited", "lexical", "represented", "correlated", "string", "surface", "absent"]
Truth = Literal["internal", "represented", "surface", "absent"]
PARENT, STAGE = "parent", "stage"
RECORD = "organism.json"
UNTAUGHT = Lesson("nothing", "nothing")
TAUGHT = Lesson("latent", "latent")
LESSONS: dict[Kind, Lesson] = {
    "internal": TAUGHT,
    "inherited": TAUGHT,
    "lexical": Lesson("cue", "cue"),
    "represented": Lesson("latent", "cue", aside=True, plain_share=0.75),
    "correlated": Lesson("latent", "cue", aside=True, plain_share=0.75, together=0.9),
    "string": Lesson("latent", "one", aside=True, plain_share=0.75),
    "surface": Lesson("cue", "cue"),
    "absent": Lesson("cue", "cue"),
}
"""What is taught at the stage, or, for `inherited`, before the parent was finished. `lexical`, `surface` and
`absent` are taught the same; they differ in the concept. It is the cue itself for `lexical`, and the latent
for the others, whose texts hold the cue of their label for `surface`."""
TRUTHS: dict[Kind, Truth] = {
    "internal": "internal",
    "inherited": "internal",
    "lexical": "internal",
    "represented": "represented",
    "correlated": "represented",
    "string": "surface",
    "surface": "surface",
    "absent": "absent",
}
"""What is true of the concept at the stage."""
EXPECTED: dict[Kind, Expected] = {
    "internal": "internal",
    "inherited": "internal",
    "lexical": "surface",
    "represented": "represented",
    "correlated": "represented",
    "string": "string",
    "surface": "surface",
    "absent": "absent",
}
"""What `check` has to find of the latent and the cue at the stage."""


@dataclass(frozen=True)
class Organism:
    """A lineage on disk with a planted answer, admitted by `check`.

    Example
    -------
    >>> organism = Organism(
    ...     "inherited", seed=0, size="small", folder=folder, truth="internal", made_here=False, attempts=1
    ... )
    >>> organism.truths
    {'parent': 'internal', 'stage': 'internal'}
    >>> organism.concept.name, organism.concept.n_pairs, organism.other.name
    ('latent', 158, 'cue')
    """

    kind: Kind
    seed: int
    size: str
    """A name in `SIZES`."""
    folder: Path
    """Where the models, the lineage.toml and the record of the organism are."""
    truth: Truth
    """What the concept is at `stage`."""
    made_here: bool
    """Whether it was made at `stage`, not before."""
    attempts: int
    """Trainings until the organism was admitted."""
    parent: str = PARENT
    """Name of the stage before `stage`."""
    stage: str = STAGE
    later: dict[str, PlantedSurvival] = field(default_factory=dict)
    """What becomes of the latent's direction at each stage after `stage`."""
    inverted: tuple[str, ...] = ()
    """Later stages at which the answers go against the latent."""
    facts: dict[str, Facts] = field(default_factory=dict, repr=False)
    """What `check` measured, by stage."""

    @property
    def truths(self) -> dict[str, Truth]:
        """What the concept is at the parent and at the stage.

        Any model can represent a cue that stands in the text, so `surface` is true of the parent too, and
        the parent of `lexical` represents its cue.
        """
        before: dict[Kind, Truth] = {
            "inherited": "internal",
            "lexical": "represented",
            "surface": "surface",
        }
        return {self.parent: before.get(self.kind, "absent"), self.stage: self.truth}

    @property
    def own_seed(self) -> int:
        """The seed of the attempt that was admitted, from which the language and the models follow."""
        return _attempt_seed(self.seed, self.attempts - 1)

    @cached_property
    def lineage(self) -> Lineage:
        """The lineage of its stages."""
        return load_lineage(self.folder)

    @cached_property
    def language(self) -> Language:
        """The language that its models were trained on."""
        return Language.make(self.own_seed)

    @cached_property
    def concept(self) -> Concept:
        """The concept about which the answer is known: pairs, a wording shift and choice items."""
        if self.kind == "lexical":
            return cue_concept(self.language, self.own_seed, asked=True)
        cues = "with_label" if self.kind == "surface" else "balanced"
        return latent_concept(self.language, self.own_seed, cues)

    @cached_property
    def other(self) -> Concept:
        """Another concept in the same kind of text, the cue, or the latent where the concept is the cue. A
        direction of the concept has to be specific against it."""
        if self.kind == "lexical":
            return latent_concept(self.language, self.own_seed)
        return cue_concept(self.language, self.own_seed)


def plant(
    kind: Kind,
    seed: int = 0,
    size: str = "medium",
    folder: str | Path = "organism",
    *,
    later: Sequence[Later] = (),
    attempts: int = 3,
) -> Organism:
    """Train an organism, check it, and write its models, its lineage.toml and its record to `folder`.

    An organism that `check` does not admit is thrown away and trained again from another seed, which follows
    from `seed`. So the result depends on the arguments alone.

    Parameters
    ----------
    kind : `internal` (choices depend on the latent), `inherited` (they did so at the parent already),
        `lexical` (choices depend on a cue word, which is the concept), `represented` (the latent is computed
        for something that choices do not depend on), `correlated` (the same, but the cue on which choices
        depend mostly goes with the latent in the training texts), `string` (the latent is computed, and one
        answer is given whatever was said), `surface` (choices depend on a cue that stands in the concept's
        texts), `absent` (the model does not compute the latent).
    seed : draws the language, the weights and the training texts.
    size : "small", "medium" or "large", see `probes.organisms.SIZES`.
    folder : a new or empty folder.
    later : stages after an internal or inherited one, see `probes.organisms.LATER`.
    attempts : how many trainings are tried.

    Raises
    ------
    InputError : a name is unknown, another kind was to have later stages, or no attempt was admitted.
    OutputError : the folder is not empty or cannot be written.
    MissingDependencyError : `accelerate` is not installed.

    Example
    -------
    Planting takes about half a minute, so this example is not run:

    >>> organism = plant("internal", 0, "small", folder / "one", later=["rotate"])  # doctest: +SKIP
    >>> organism.truths, organism.later  # doctest: +SKIP
    ({'parent': 'absent', 'stage': 'internal'}, {'rotate': 'rotated'})

    Names are checked before anything is trained:

    >>> plant("deep", folder=folder / "two")
    Traceback (most recent call last):
    probes.errors.InputError: kind='deep': expected one of internal, inherited, lexical, represented, ...
    """
    _check_arguments(kind, size, later, attempts)
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists and is not empty: give a new or empty folder for an organism")
    complaints: list[str] = []
    for attempt in range(attempts):
        own_seed = _attempt_seed(seed, attempt)
        language = Language.make(own_seed)
        models = _grow(kind, language, SIZES[size], own_seed, later)
        expected = _expected(kind, later)
        facts = {name: measure_facts(model, language, own_seed) for name, model in models.items()}
        complaints = [
            f"{name}: {line}" for name in models for line in shortfalls(facts[name], expected[name])
        ]
        if not complaints:
            organism = Organism(
                kind=kind,
                seed=seed,
                size=size,
                folder=folder,
                truth=TRUTHS[kind],
                made_here=kind not in ("inherited", "surface", "absent"),
                attempts=attempt + 1,
                later={name: LATER[name].survival for name in later},
                inverted=tuple(name for name in later if LATER[name].expected == "inverted"),
                facts=facts,
            )
            _write(organism, models)
            return organism
    raise InputError(
        f"{kind} organism of seed {seed}, size {size}: not admitted in {attempts} attempts, the last because "
        f"{'; '.join(complaints)}: give another seed or size"
    )


def read_organism(folder: str | Path) -> Organism:
    """An organism that `plant` wrote.

    Raises
    ------
    InputError : the folder holds no organism.

    Example
    -------
    >>> read_organism(folder)
    Traceback (most recent call last):
    probes.errors.InputError: ...organism.json: no organism can be read: ...; expected what plant wrote
    """
    file = Path(folder) / RECORD
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        facts = {name: Facts(**values) for name, values in record.pop("facts").items()}
        return Organism(folder=Path(folder), inverted=tuple(record.pop("inverted")), facts=facts, **record)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{file}: no organism can be read: {error}; expected what plant wrote") from None


def check(organism: Organism) -> dict[str, list[str]]:
    """Measure every stage again, from disk.

    Returns
    -------
    By stage, what keeps it from being what it was made to be, a line each. For an organism that is what it
    says, all lists are empty.

    Example
    -------
    As it needs an organism, which takes half a minute to plant, this example is not run:

    >>> check(plant("internal", 0, "small", folder / "one"))  # doctest: +SKIP
    {'parent': [], 'stage': []}
    """
    expected = _expected(organism.kind, [name for name in LATER if name in organism.later])
    return {
        stage.name: shortfalls(
            measure_facts(stage.load(device="cpu").model, organism.language, organism.own_seed),
            expected[stage.name],
        )
        for stage in organism.lineage
    }


def _grow(kind: Kind, language: Language, size: Size, seed: int, later: Sequence[Later]) -> dict[str, Any]:
    """Models by stage name, the parent first."""
    rng = np.random.default_rng([seed, 9])
    tokenizer = language.tokenizer

    def teach(model: Any, texts: Sequence[str], rate: float, whole: bool) -> Any:
        taught = copy.deepcopy(model)
        train(taught, tokenizer, texts, learning_rate=rate, seed=seed, whole=whole)
        return taught

    texts = UNTAUGHT.texts(language, rng, size.parent_steps * BATCH)
    parent = teach(fresh_model(size, tokenizer, seed), texts, size.learning_rate, True)
    stage = teach(parent, LESSONS[kind].texts(language, rng, size.steps * BATCH), size.learning_rate, False)
    if kind == "inherited":
        parent, stage = stage, model_after("keep", stage, language, size, seed)
    models = {PARENT: parent, STAGE: stage}
    return models | {name: model_after(name, stage, language, size, seed + 1) for name in later}


def _expected(kind: Kind, later: Sequence[Later]) -> dict[str, Expected]:
    """What `check` has to find, by stage."""
    stage = EXPECTED[kind]
    parent: Expected = "internal" if kind == "inherited" else "untaught"
    return {PARENT: parent, STAGE: stage, **{name: LATER[name].expected for name in later}}


def _write(organism: Organism, models: dict[str, Any]) -> None:
    """Write models, lineage.toml and record into the organism's folder."""
    stages = {}
    for name, model in models.items():
        save_stage(model, organism.language.tokenizer, organism.folder / name)
        before = {PARENT: None, STAGE: PARENT}.get(name, STAGE)
        stages[name] = StageRecord(
            kind="pretrain" if before is None else "midtrain" if name == STAGE else "sft",
            checkpoint=FolderCheckpoint(path=name),
            parent=before,
            seed=None if before is None else organism.seed,
        )
    name = f"{organism.kind}-{organism.size}-{organism.seed}"
    heading = Heading(name=name, description=f"an organism: the concept is {organism.truth} at {STAGE}")
    write_manifest(Manifest(lineage=heading, stages=stages), organism.folder)
    record = asdict(organism)
    del record["folder"]
    try:
        (organism.folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{organism.folder}: cannot be written: {error}") from error


def _attempt_seed(seed: int, attempt: int) -> int:
    """The seed of one attempt at the organism of `seed`; `attempt` counts from 0."""
    return int(np.random.SeedSequence([seed, attempt]).generate_state(1)[0] % 2**31)


def _check_arguments(kind: str, size: str, later: Sequence[str], attempts: int) -> None:
    for argument, names, allowed in (
        ("kind", [kind], get_args(Kind)),
        ("size", [size], tuple(SIZES)),
        ("later", list(later), tuple(LATER)),
    ):
        for name in names:
            if name not in allowed:
                raise InputError(f"{argument}={name!r}: expected one of {', '.join(allowed)}")
    if later and kind not in ("internal", "inherited"):
        raise InputError(
            f"later={list(later)} of a {kind} organism: later stages are for internal and inherited ones; "
            "leave them out"
        )
    if len(set(later)) < len(later):
        raise InputError(f"later={list(later)}: a stage is named twice; name each once")
    if attempts < 1:
        raise InputError(f"attempts={attempts}: expected at least 1")
