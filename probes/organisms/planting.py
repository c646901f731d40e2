"""`plant`: train a lineage of tiny models whose relation to a concept is known, because it was trained in."""

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
from probes.organisms.checking import Expected, Facts, facts, shortfalls
from probes.organisms.language import Language
from probes.organisms.later import LATER, Fate, Later, follow
from probes.organisms.lessons import Lesson
from probes.organisms.material import cue_concept, latent_concept
from probes.organisms.transforms import save_stage
from probes.organisms.tuning import BATCH, SIZES, Size, fresh_model, train

Kind = Literal["internal", "inherited", "represented", "surface", "absent"]
Truth = Literal["internal", "represented", "surface", "absent"]
PARENT, STAGE = "parent", "stage"
RECORD = "organism.json"
UNTAUGHT = Lesson("nothing", "nothing")
TAUGHT = Lesson("latent", "latent")
LESSONS: dict[Kind, Lesson] = {
    "internal": TAUGHT,
    "inherited": TAUGHT,
    "represented": Lesson("latent", "cue", aside=True, plain_share=0.75),
    "surface": Lesson("cue", "cue"),
    "absent": Lesson("cue", "cue"),
}
"""What is taught, at the stage or, for `inherited`, before the parent was done. `surface` and `absent` are
taught alike: in the first, the concept's own texts hold the cue of their label."""


@dataclass(frozen=True)
class Organism:
    """A lineage on disk with a planted answer, admitted by `check`.

    `truth` is what the concept is at `stage`, `made_here` whether that stage made it, `parent` the stage
    before; `later` what becomes of the latent at each stage after, `inverted` those of them where answers go
    against it. `attempts`: trainings it took; `facts`: what `check` found, by stage.
    """

    kind: Kind
    seed: int
    size: str
    folder: Path
    truth: Truth
    made_here: bool
    attempts: int
    parent: str = PARENT
    stage: str = STAGE
    later: dict[str, Fate] = field(default_factory=dict)
    inverted: tuple[str, ...] = ()
    facts: dict[str, Facts] = field(default_factory=dict, repr=False)

    @property
    def truths(self) -> dict[str, Truth]:
        """What the concept is at parent and stage. Any model can read a cue that stands in the text, so
        the parent of a surface organism is surface too."""
        before: dict[Kind, Truth] = {"inherited": "internal", "surface": "surface"}
        return {self.parent: before.get(self.kind, "absent"), self.stage: self.truth}

    @cached_property
    def lineage(self) -> Lineage:
        return load_lineage(self.folder)

    @cached_property
    def language(self) -> Language:
        return Language.make(_drawn(self.seed, self.attempts - 1))

    @cached_property
    def concept(self) -> Concept:
        """The concept whose place in the models is known: pairs, a wording shift, choice items."""
        cues = "with_label" if self.kind == "surface" else "balanced"
        return latent_concept(self.language, _drawn(self.seed, self.attempts - 1), cues)

    @cached_property
    def other(self) -> Concept:
        """Another concept in the same texts, the cue, for what has to be specific."""
        return cue_concept(self.language, _drawn(self.seed, self.attempts - 1))


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

    One that `check` does not admit is thrown away and trained anew from the next seed of its own, which
    follows from `seed`; what is given back depends on the arguments alone.

    Parameters
    ----------
    kind : `internal` (choices run through the latent), `inherited` (they did so at the parent already),
        `represented` (the latent is computed for something else), `surface` (choices run through a cue that
        stands in the concept's texts), `absent` (nothing knows of the latent).
    size : "small", "medium" or "large", see `probes.organisms.tuning.SIZES`.
    later : stages after an internal or inherited one, see `probes.organisms.later.LATER`.

    Raises
    ------
    InputError : unknown names, later stages of another kind, or no attempt was admitted.
    OutputError : the folder is not empty or cannot be written.
    MissingDependencyError : `accelerate` is not installed.
    """
    _check_arguments(kind, size, later, attempts)
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is there already: expected a new or empty folder for an organism")
    found: list[str] = []
    for attempt in range(attempts):
        own = _drawn(seed, attempt)
        language = Language.make(own)
        models = _grow(kind, language, SIZES[size], own, later)
        expected = _expected(kind, later)
        told = {name: facts(model, language, own) for name, model in models.items()}
        found = [f"{name}: {what}" for name in models for what in shortfalls(told[name], expected[name])]
        if not found:
            organism = Organism(
                kind=kind,
                seed=seed,
                size=size,
                folder=folder,
                truth="internal" if kind == "inherited" else kind,
                made_here=kind in ("internal", "represented"),
                attempts=attempt + 1,
                later={name: LATER[name].fate for name in later},
                inverted=tuple(name for name in later if LATER[name].expected == "inverted"),
                facts=told,
            )
            _write(organism, models)
            return organism
    raise InputError(
        f"{kind} organism of seed {seed}, size {size}: not admitted in {attempts} attempts, the last because "
        f"{'; '.join(found)}: give another seed or size"
    )


def read_organism(folder: str | Path) -> Organism:
    """An organism that `plant` wrote. Raises InputError where there is none."""
    file = Path(folder) / RECORD
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        told = {name: Facts(**values) for name, values in held.pop("facts").items()}
        return Organism(folder=Path(folder), inverted=tuple(held.pop("inverted")), facts=told, **held)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{file}: no organism can be read: {error}; expected what plant wrote") from None


def check(organism: Organism) -> dict[str, list[str]]:
    """Measure every stage again from disk: stage -> what keeps it from being what it was made to be.

    All lists are empty for an organism that is what it says.
    """
    own = _drawn(organism.seed, organism.attempts - 1)
    expected = _expected(organism.kind, [name for name in LATER if name in organism.later])
    return {
        stage.name: shortfalls(
            facts(stage.load(device="cpu").model, organism.language, own), expected[stage.name]
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
        parent, stage = stage, follow("keep", stage, language, size, seed)
    models = {PARENT: parent, STAGE: stage}
    return models | {name: follow(name, stage, language, size, seed + 1) for name in later}


def _expected(kind: Kind, later: Sequence[Later]) -> dict[str, Expected]:
    stage: Expected = "internal" if kind == "inherited" else kind
    parent: Expected = "internal" if kind == "inherited" else "untaught"
    told: dict[str, Expected] = {PARENT: parent, STAGE: stage}
    told.update((name, LATER[name].expected) for name in later)
    return told


def _write(organism: Organism, models: dict[str, Any]) -> None:
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
    heading = Heading(name=name, description=f"an organism: the latent is {organism.truth} at {STAGE}")
    write_manifest(Manifest(lineage=heading, stages=stages), organism.folder)
    held = asdict(organism)
    del held["folder"]
    try:
        (organism.folder / RECORD).write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{organism.folder}: cannot be written: {error}") from error


def _drawn(seed: int, attempt: int) -> int:
    """The seed of an attempt."""
    return int(np.random.SeedSequence([seed, attempt]).generate_state(1)[0] % 2**31)


def _check_arguments(kind: str, size: str, later: Sequence[str], attempts: int) -> None:
    for what, given, known in (
        ("kind", [kind], get_args(Kind)),
        ("size", [size], tuple(SIZES)),
        ("later", list(later), tuple(LATER)),
    ):
        for name in given:
            if name not in known:
                raise InputError(f"{what}={name!r}: expected one of {', '.join(known)}")
    if later and kind not in ("internal", "inherited"):
        raise InputError(
            f"later={list(later)} of a {kind} organism: they are for internal and inherited ones"
        )
    if len(set(later)) < len(later):
        raise InputError(f"later={list(later)}: a stage is named twice")
    if attempts < 1:
        raise InputError(f"attempts={attempts}: expected at least 1")
