"""The training recipe: a TOML file with every hyperparameter, checked before anything is trained.

This is a module of its own so that a recipe can be read, checked and shown without the training libraries
and without running its Python file of data makers. Every complaint is a `RecipeError` that names the file,
the key, the value and what was expected.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from probes.errors import RecipeError
from probes.lineage.records import Checkpoint, Name, StageKind
from probes.training.data import FILE_TABLES, Settings, UncheckedTable, check_table, validated

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
    """`[replay]`: neutral text mixed into every stage but DPO (see `probes.training.replay`).

    `share` is a share of all tokens of a stage. `chats` names the `[data.NAME]` table whose chats are
    replayed beside prose, and `chat_share` is their share of the rows replayed.
    """

    share: float = Field(0.18, gt=0, lt=1)
    chats: str | None = None
    chat_share: float = Field(0.0, ge=0, lt=1)
    seed: int = 0


class StageRecipe(Settings):
    """`[stages.NAME]`: one training run per seed. DPO where its data are preference pairs, else SFT.

    A stage with `settings = "NAME"` takes the keys that it does not have itself from `[settings.NAME]`. The
    default of `seeds` is all seeds of the recipe, and that of `replay_share` the share that `[replay]` gives;
    0 replays nothing. Only DPO uses `beta`.
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
    """One stage at one training seed.

    The seed decides the adapter's initial weights, the order of the data and which data are drawn.

    Examples
    --------
    >>> from probes.training.recipe import Run
    >>> Run("mid", seed=0).name, Run("mid", seed=2).name
    ('mid', 'mid-s2')
    """

    stage: str
    seed: int

    @property
    def name(self) -> str:
        """The stage's name for seed 0, and `<stage>-s<seed>` for others."""
        return self.stage if self.seed == 0 else f"{self.stage}-s{self.seed}"


class Recipe(Settings):
    """A whole recipe file; `read_recipe` makes one from a file.

    Parameters
    ----------
    lineage : LineageHead
        Name and description of the lineage.
    makers : str or None
        The Python file of data makers, relative to the recipe's folder.
    seeds : tuple of int
        Training seeds of all stages that do not say theirs.
    base : BaseRecipe
        The stage that everything is trained on.
    lora : LoraSettings
        The shape of every adapter.
    replay : ReplaySettings or None
        Neutral text that is mixed into every stage.
    data : dict of str to UncheckedTable
        The `[data.NAME]` tables. Those whose kind is not built in are checked when the file of data makers is
        run (`TrainingData`).
    stages : dict of str to StageRecipe
        What is trained.

    Examples
    --------
    >>> from probes.training import Recipe
    >>> recipe = Recipe(
    ...     lineage={"name": "example"},
    ...     seeds=(0, 1),
    ...     base={"checkpoint": {"path": "base"}},
    ...     data={"notes": {"kind": "documents", "path": "notes.jsonl"}},
    ...     stages={"mid": {"parent": "base", "kind": "midtrain", "data": "notes", "learning_rate": 1e-4}},
    ... )
    >>> recipe.runs()["mid-s1"]
    Run(stage='mid', seed=1)
    """

    lineage: LineageHead
    makers: str | None = None
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    base: BaseRecipe
    lora: LoraSettings = LoraSettings()
    replay: ReplaySettings | None = None
    data: dict[str, UncheckedTable] = Field(min_length=1)
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

    def replay_share(self, run: Run) -> float:
        """The share of neutral replay in a run's tokens."""
        if self.replay is None:
            return 0.0
        own = self.stages[run.stage].replay_share
        return self.replay.share if own is None else own

    def replay_of(self, run: Run) -> ReplaySettings | None:
        """`[replay]` as far as it concerns a run: None where nothing is replayed."""
        return self.replay if self.replay_share(run) else None


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe file; its Python file of data makers is not run.

    Parameters
    ----------
    path : str or Path
        The recipe, a TOML file.

    Returns
    -------
    Recipe
        The checked recipe.

    Raises
    ------
    RecipeError
        There is no such file, it is not TOML, or it has an unknown key or a wrong value; or the parent or the
        data of a stage do not exist, its ancestors go in a circle, or its parent lacks one of its seeds.

    Examples
    --------
    >>> from probes.training import read_recipe
    >>> _ = (folder / "recipe.toml").write_text('''
    ... seeds = [0, 1]
    ... [lineage]
    ... name = "example"
    ... [base]
    ... checkpoint = { path = "base" }
    ... [data.notes]
    ... kind = "documents"
    ... path = "notes.jsonl"
    ... [stages.mid]
    ... parent = "base"
    ... kind = "midtrain"
    ... data = "notes"
    ... learning_rate = 1e-4
    ... ''')
    >>> list(read_recipe(folder / "recipe.toml").runs())
    ['mid', 'mid-s1']
    """
    file = Path(path).expanduser()
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{file}: cannot be read ({error.strerror}); expected a recipe .toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file}: not valid TOML: {error}") from None
    recipe = validated(Recipe, _with_settings(file, table), f"{file}: ")
    for name, data in recipe.data.items():
        if data.kind in FILE_TABLES or recipe.makers is None:
            check_table(file, name, data, FILE_TABLES)
    if recipe.replay and (complaint := _replay_complaint(recipe.replay, list(recipe.data))):
        raise RecipeError(f"{file}: replay{complaint}")
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
                names = ", ".join(shared) or "none"
                raise RecipeError(f"{file}: stages.{name}.settings = {wanted!r}: expected one of {names}")
            stage = shared[wanted] | {key: value for key, value in stage.items() if key != "settings"}
        full[name] = stage
    return {key: value for key, value in table.items() if key != "settings"} | {"stages": full}


def _replay_complaint(replay: ReplaySettings, tables: list[str]) -> str | None:
    """What is wrong with `[replay]`, after its key."""
    if replay.chats is None and replay.chat_share:
        return f".chat_share = {replay.chat_share}: expected also chats, the name of a [data.NAME] table"
    if replay.chats is not None and replay.chats not in tables:
        return f".chats = {replay.chats!r}: expected one of {', '.join(tables)}"
    if replay.chats is not None and not replay.chat_share:
        return f".chats = {replay.chats!r}: expected also chat_share, above 0 and below 1"
    return None


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
