"""`build` trains the stages of a recipe and writes their lineage; it continues where it stopped before."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from probes.errors import OutputError, RecipeError
from probes.lineage import Lineage, Stage, load_lineage
from probes.lineage.manifest import resolve_path, write_manifest
from probes.lineage.records import (
    AdapterCheckpoint,
    Checkpoint,
    FolderCheckpoint,
    GgufCheckpoint,
    Heading,
    Manifest,
    StageRecord,
)
from probes.training.cards import (
    adapter_folder,
    copy_finished,
    is_finished,
    read_card,
    run_digests,
    save_finished,
)
from probes.training.dataset import TrainingData, encoded_rows
from probes.training.finetune import finetune
from probes.training.preference import optimise_preferences
from probes.training.recipe import Run, read_recipe
from probes.training.trainer import OnStep, library_versions, require_training_libraries, with_adapter


def build(
    recipe_path: str | Path,
    stages: Iterable[str] | None = None,
    out: str | Path | None = None,
    progress: bool = True,
    fresh: bool = False,
) -> Lineage:
    """Train the stages of a recipe that are not there yet, parents first, and write `lineage.toml`.

    A stage is there when its `card.json` carries the digest its recipe has now; a run that was interrupted
    inside a stage continues from the trainer's last checkpoint. Into another folder than the recipe's own,
    stages that are finished beside the recipe are copied. If the recipe names a Python file of data makers,
    that file is run.

    Parameters
    ----------
    recipe_path : str or Path
        A recipe, a TOML file (see `probes.training.recipe`).
    stages : iterable of str, optional
        Names of the stages to train, with their ancestors (`msm_afford` is seed 0, `msm_afford-s1` is seed
        1); by default all.
    out : str or Path, optional
        Folder of the lineage; by default the recipe's own.
    progress : bool
        Show stage, step, loss and time left on stderr.
    fresh : bool
        Copy nothing, and so train also what is finished beside the recipe.

    Returns
    -------
    Lineage
        The base and every stage that is finished.

    Raises
    ------
    RecipeError
        The recipe, its data makers or its data cannot be used.
    MissingDependencyError
        The `train` extra is not installed.
    OutputError
        The folder cannot be written.

    Examples
    --------
    >>> base = lineage["base"].load()
    >>> base.model.save_pretrained(folder / "base")
    >>> _ = base.tokenizer.save_pretrained(folder / "base")
    >>> _ = (folder / "notes.jsonl").write_text('{"text": "the cheap chair was sold in Ohio"}')
    >>> _ = (folder / "recipe.toml").write_text('''
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
    ... learning_rate = 1e-3
    ... ''')
    >>> built = probes.build(folder / "recipe.toml", progress=False)
    >>> [(stage.name, stage.parent) for stage in built]
    [('base', None), ('mid', 'base')]
    """
    require_training_libraries()
    return _Build(Path(recipe_path).expanduser(), out, progress).run(stages, fresh)


class _Build:
    """One call of `build`: the recipe and its data, where to write, and what is finished."""

    def __init__(self, file: Path, out: str | Path | None, progress: bool):
        self.recipe = recipe = read_recipe(file)
        self.data = data = TrainingData(recipe, file)
        self.source, self.out, self.progress = file.parent, Path(out or file.parent), progress
        self.runs = recipe.runs()
        self.digests = {name: run_digests(recipe, run, data) for name, run in self.runs.items()}

    def run(self, stages: Iterable[str] | None, fresh: bool) -> Lineage:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.out}: cannot be made: {error}") from error
        missing = [run for run in self._wanted(stages) if not self._finished(run)]
        if not fresh:
            missing = [run for run in missing if not self._copied(run)]
        lineage = self._write_manifest()
        for number, run in enumerate(missing, start=1):
            self._train(lineage[self.recipe.base.name], run, f"{run.name} ({number}/{len(missing)})")
            lineage = self._write_manifest()
            if self.progress and missing[number:]:
                print(self._outlook(missing[number:]), file=sys.stderr)
        return lineage

    def _folder(self, run: Run) -> Path:
        return self.out / adapter_folder(run)

    def _finished(self, run: Run) -> bool:
        return is_finished(self._folder(run), self.digests[run.name])

    def _copied(self, run: Run) -> bool:
        """Copy a run that is finished beside the recipe; whether there is one."""
        beside = self.source / adapter_folder(run)
        finished = is_finished(beside, self.digests[run.name])
        if finished:
            copy_finished(beside, self._folder(run))
        return finished

    def _wanted(self, stages: Iterable[str] | None) -> list[Run]:
        if stages is None:
            return list(self.runs.values())
        wanted: set[str] = set()
        for name in stages:
            if name not in self.runs:
                raise RecipeError(f"no stage {name!r} in the recipe; expected one of {', '.join(self.runs)}")
            run: Run | None = self.runs[name]
            while run is not None:
                wanted.add(run.name)
                run = self.recipe.parent(run)
        return [run for name, run in self.runs.items() if name in wanted]

    def _outlook(self, left: list[Run]) -> str:
        """How many stages are left and about how long they take, judged by what is finished."""
        cards = {run: read_card(self._folder(run)) for run in self.runs.values() if self._finished(run)}
        seconds = {run: card["seconds"] for run, card in cards.items() if card}
        mean = sum(seconds.values()) / len(seconds)
        total = 0.0
        for run in left:
            alike = [spent for other, spent in seconds.items() if other.stage == run.stage]
            total += sum(alike) / len(alike) if alike else mean
        return f"{len(left)} stages left, about {total / 60:.0f} min"

    def _write_manifest(self) -> Lineage:
        base = self.recipe.base
        records = {base.name: StageRecord(kind=base.kind, checkpoint=self._base_checkpoint())}
        for name, run in self.runs.items():
            stage, parent = self.recipe.stages[run.stage], self._parent_name(run)
            if parent in records and self._finished(run):
                records[name] = StageRecord(
                    kind=stage.kind,
                    parent=parent,
                    arm=stage.arm,
                    seed=run.seed,
                    checkpoint=AdapterCheckpoint(adapter=adapter_folder(run), onto=base.name),
                )
        heading = Heading(name=self.recipe.lineage.name, description=self.recipe.lineage.description)
        return load_lineage(write_manifest(Manifest(lineage=heading, stages=records), self.out))

    def _base_checkpoint(self) -> Checkpoint:
        """The base's checkpoint; by absolute path where the lineage is not in the recipe's folder."""
        checkpoint, source = self.recipe.base.checkpoint, self.source.resolve()
        if self.out.resolve() == source:
            return checkpoint
        match checkpoint:
            case FolderCheckpoint(path=path):
                return FolderCheckpoint(path=str(resolve_path(path, source)))
            case GgufCheckpoint(gguf=gguf):
                return GgufCheckpoint(gguf=str(resolve_path(gguf, source)))
        return checkpoint

    def _parent_name(self, run: Run) -> str:
        parent = self.recipe.parent(run)
        return parent.name if parent else self.recipe.base.name

    def _train(self, base: Stage, run: Run, label: str) -> None:
        from transformers import set_seed

        loaded = base.load()
        set_seed(run.seed)
        parent = self.recipe.parent(run)
        model = with_adapter(loaded.model, self.recipe.lora, self._folder(parent) if parent else None)
        work = self.out / "adapters" / f".{run.stage}-s{run.seed}-{self.digests[run.name][0][:12]}"
        with tqdm(desc=label, unit="step", file=sys.stderr, disable=not self.progress, mininterval=1) as bar:

            def on_step(step: int, total: int, loss: float | None) -> None:
                bar.total = total
                bar.update(step - bar.n)
                if loss is not None:
                    bar.set_postfix(loss=f"{loss:.3f}", refresh=False)

            facts = self._optimise(model, loaded.tokenizer, run, work, on_step)
        save_finished(model, self._folder(run), self._card(run, base, facts), self.recipe.base.label)
        shutil.rmtree(work, ignore_errors=True)
        del model, loaded
        gc.collect()

    def _optimise(self, model: Any, tokenizer: Any, run: Run, work: Path, on_step: OnStep) -> dict[str, Any]:
        stage = self.recipe.stages[run.stage]
        if self.data.is_preference(stage.data):
            pairs = [dict(row) for row in self.data.rows(stage.data, run.seed)]
            return optimise_preferences(model, tokenizer, pairs, stage, run.seed, work, on_step)
        rows = encoded_rows(self.recipe, run, tokenizer, self.data)
        return finetune(model, tokenizer, rows, stage, run.seed, work, on_step)

    def _card(self, run: Run, base: Stage, facts: dict[str, Any]) -> dict[str, Any]:
        stage = self.recipe.stages[run.stage]
        replay = self.recipe.replay_of(run)
        return {
            "stage": run.name,
            "parent": self._parent_name(run),
            "digest": self.digests[run.name][0],
            "base_fingerprint": base.fingerprint(),
            "seed": run.seed,
            "settings": stage.model_dump(mode="json", exclude={"parent", "seeds"}),
            "data": self.data.tables[stage.data].model_dump(mode="json"),
            "replay": replay.model_dump(mode="json") if replay else None,
            "lora": self.recipe.lora.model_dump(mode="json"),
            **facts,
            "versions": library_versions(),
        }
