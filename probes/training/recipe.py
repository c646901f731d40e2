"""The training recipe: a TOML file with every hyperparameter, checked before anything is trained.

Apart from `build` so that a recipe can be read, checked and shown without the training libraries. Every
complaint is a `RecipeError` naming file, key, value and what was expected.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from probes.errors import RecipeError
from probes.lineage.records import Checkpoint, Name, StageKind
from probes.training.data import DataRecipe, Settings

Schedule = Literal["cosine", "linear", "constant", "constant_with_warmup"]


class LineageHead(Settings):
    """`[lineage]`: what the manifest's own `[lineage]` table will say."""

    name: str
    description: str = ""


class BaseRecipe(Settings):
    """`[base]`: the stage everything is trained on."""

    name: Name = "base"
    kind: StageKind = "pretrain"
    checkpoint: Checkpoint
    label: str = "base"


class LoraSettings(Settings):
    """`[lora]`: the shape of every adapter (a child continues its parent's, so they must agree)."""

    rank: int = Field(default=8, ge=1)
    alpha: int = Field(default=16, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"


class ReplaySettings(Settings):
    """`[replay]`: neutral text mixed into every stage but DPO (see `probes.training.replay`)."""

    share: float = Field(0.18, gt=0, lt=1)
    chat_share: float = Field(0.5, ge=0, lt=1)
    seed: int = 0


class StageRecipe(Settings):
    """`[stages.NAME]`: one training run per seed. DPO where its data are preference pairs, else SFT.

    `settings = "NAME"` takes what it does not say itself from `[settings.NAME]`. `seeds`: default all of the
    recipe's; `replay_share`: default the recipe's, 0 for none; `beta`: DPO only.
    """

    parent: str
    kind: StageKind
    arm: str | None = None
    data: str
    seeds: tuple[int, ...] | None = Field(None, min_length=1)
    learning_rate: float = Field(gt=0)
    epochs: float = Field(1, gt=0)
    max_steps: int | None = Field(None, ge=1)
    batch_size: int = Field(4, ge=1)
    gradient_accumulation: int = Field(1, ge=1)
    schedule: Schedule = "cosine"
    warmup_steps: int = Field(5, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    max_length: int = Field(1024, ge=2)
    replay_share: float | None = Field(None, ge=0, lt=1)
    beta: float = Field(0.1, gt=0)
    save_steps: int = Field(50, ge=1)


@dataclass(frozen=True)
class Run:
    """One stage at one training seed; `name` is the stage's for seed 0, and `<stage>-s<seed>` for others.

    The seed decides the adapter's initial weights, the order of the data and which data are drawn.
    """

    stage: str
    seed: int

    @property
    def name(self) -> str:
        return self.stage if self.seed == 0 else f"{self.stage}-s{self.seed}"


class Recipe(Settings):
    """A whole recipe file."""

    lineage: LineageHead
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    base: BaseRecipe
    lora: LoraSettings = LoraSettings()
    replay: ReplaySettings | None = None
    data: dict[str, DataRecipe] = Field(min_length=1)
    stages: dict[Name, StageRecipe] = Field(min_length=1)

    def runs(self) -> dict[str, Run]:
        """Every run by name: seed by seed, every parent before its children, otherwise as in the file."""
        done, order = [self.base.name], []
        waiting = list(self.stages)
        while waiting:
            stage = next(stage for stage in waiting if self.stages[stage].parent in done)
            waiting.remove(stage)
            done.append(stage)
            order.append(stage)
        runs = [Run(stage, seed) for seed in self.seeds for stage in order if seed in self.seeds_of(stage)]
        return {run.name: run for run in runs}

    def seeds_of(self, stage: str) -> tuple[int, ...]:
        """The seeds a stage is trained with."""
        return self.stages[stage].seeds or self.seeds

    def parent(self, run: Run) -> Run | None:
        """The run that `run` continues; None for the base."""
        parent = self.stages[run.stage].parent
        return None if parent == self.base.name else Run(parent, run.seed)


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe file.

    Raises:
        RecipeError: no such file, not TOML, an unknown key, a wrong value, or a stage whose parent or data
            does not exist, whose ancestors go in a circle, or whose seeds its parent does not have.
    """
    file = Path(path).expanduser()
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{file}: cannot be read ({error.strerror}); expected a recipe .toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file}: not valid TOML: {error}") from None
    try:
        recipe = Recipe.model_validate(_with_settings(file, table))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        expected = "a value: the key is missing" if first["type"] == "missing" else first["msg"]
        if first["type"] == "extra_forbidden":
            expected = "no such key; see docs or an existing recipe for the known ones"
        shown = "" if first["type"] == "missing" else f" = {first['input']!r:.80}"
        raise RecipeError(f"{file}: {key}{shown}: expected {expected}") from None
    for name in recipe.stages:
        if complaint := _complaint(recipe, name):
            raise RecipeError(f"{file}: stages.{name}{complaint}")
    names = [Run(stage, seed).name for stage in recipe.stages for seed in recipe.seeds_of(stage)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RecipeError(f"{file}: two runs would be called {twice!r}; expected other stage names or seeds")
    return recipe


def _with_settings(file: Path, table: dict[str, Any]) -> dict[str, Any]:
    """The table with `[settings.NAME]` written out in the stages that name it."""
    stages, shared = table.get("stages"), table.get("settings", {})
    if not isinstance(stages, dict) or not isinstance(shared, dict):
        return table
    full = {}
    for name, stage in stages.items():
        if isinstance(stage, dict) and "settings" in stage:
            wanted = stage["settings"]
            if not isinstance(shared.get(wanted), dict):
                known = ", ".join(shared) or "none"
                raise RecipeError(f"{file}: stages.{name}.settings = {wanted!r}: expected one of {known}")
            stage = shared[wanted] | {key: value for key, value in stage.items() if key != "settings"}
        full[name] = stage
    return {key: value for key, value in table.items() if key != "settings"} | {"stages": full}


def _complaint(recipe: Recipe, name: str) -> str | None:
    """What is wrong with the references of one stage, after its key."""
    base, stage = recipe.base.name, recipe.stages[name]
    if name == base:
        return ": expected another name, the base stage already has this one"
    if stage.parent not in recipe.stages and stage.parent != base:
        return f".parent = {stage.parent!r}: expected one of {', '.join([base, *recipe.stages])}"
    if stage.data not in recipe.data:
        return f".data = {stage.data!r}: expected one of {', '.join(recipe.data)}"
    seen, at = [name], stage.parent
    while at != base and at in recipe.stages:
        if at in seen:
            return f".parent: stages go in a circle: {' -> '.join([*seen, at])}"
        seen.append(at)
        at = recipe.stages[at].parent
    trained = recipe.seeds if stage.parent == base else recipe.seeds_of(stage.parent)
    if missing := [seed for seed in recipe.seeds_of(name) if seed not in trained or seed not in recipe.seeds]:
        return f".seeds: seed {missing[0]} is not among those of {stage.parent!r} and the recipe"
    return None
