"""`build`: a recipe in, a lineage of trained stages out; continues where an earlier call stopped."""

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
    run_digest,
    save_finished,
)
from probes.training.data import is_preference
from probes.training.dataset import encoded_rows, replay_share, source_rows
from probes.training.finetune import finetune
from probes.training.preference import optimise_preferences
from probes.training.recipe import Recipe, Run, read_recipe
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
    stages that are finished beside the recipe are copied.

    Args:
        recipe_path: a recipe TOML (see `probes.training.recipe`).
        stages: names to train, with their ancestors (`msm_afford` is seed 0, `msm_afford-s1` seed 1); default
            all.
        out: folder of the lineage; default the recipe's own.
        progress: show stage, step, loss and time left on stderr.
        fresh: copy nothing: train also what is finished beside the recipe.

    Returns:
        The lineage of the base and every stage that is finished.

    Raises:
        RecipeError: the recipe or its data cannot be used.
        MissingDependencyError: the `train` extra is not installed.
        OutputError: the folder cannot be written.
    """
    require_training_libraries()
    file = Path(recipe_path).expanduser()
    return _Build(read_recipe(file), file.parent, Path(out or file.parent), progress).run(stages, fresh)


class _Build:
    def __init__(self, recipe: Recipe, source: Path, out: Path, progress: bool):
        self.recipe, self.source, self.out, self.progress = recipe, source, out, progress
        self.runs = recipe.runs()
        self.digests = {name: run_digest(recipe, run, source) for name, run in self.runs.items()}

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
        """Copies a run that is finished beside the recipe; whether there is one."""
        beside = self.source / adapter_folder(run)
        there = is_finished(beside, self.digests[run.name])
        if there:
            copy_finished(beside, self._folder(run))
        return there

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
        """How many stages are left and about how long they take: as long as others did, like ones first."""
        cards = {run: read_card(self._folder(run)) for run in self.runs.values() if self._finished(run)}
        seconds = {run: card["seconds"] for run, card in cards.items() if card}
        mean = sum(seconds.values()) / len(seconds)
        total = 0.0
        for run in left:
            alike = [told for other, told in seconds.items() if other.stage == run.stage]
            total += sum(alike) / len(alike) if alike else mean
        return f"{len(left)} stages left, about {total / 60:.0f} min"

    def _write_manifest(self) -> Lineage:
        base = self.recipe.base
        checkpoint = base.checkpoint
        if (
            isinstance(checkpoint, FolderCheckpoint | GgufCheckpoint)
            and self.out.resolve() != self.source.resolve()
        ):
            key = "path" if isinstance(checkpoint, FolderCheckpoint) else "gguf"
            absolute = resolve_path(getattr(checkpoint, key), self.source.resolve())
            checkpoint = checkpoint.model_copy(update={key: str(absolute)})
        records = {base.name: StageRecord(kind=base.kind, checkpoint=checkpoint)}
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

    def _parent_name(self, run: Run) -> str:
        parent = self.recipe.parent(run)
        return parent.name if parent else self.recipe.base.name

    def _train(self, base: Stage, run: Run, label: str) -> None:
        from transformers import set_seed

        loaded = base.load()
        set_seed(run.seed)
        parent = self.recipe.parent(run)
        model = with_adapter(loaded.model, self.recipe.lora, self._folder(parent) if parent else None)
        work = self.out / "adapters" / f".{run.stage}-s{run.seed}-{self.digests[run.name][:12]}"
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
        data = self.recipe.data[stage.data]
        if is_preference(data):
            pairs = [dict(row) for row in source_rows(data, self.source, run.seed)]
            return optimise_preferences(model, tokenizer, pairs, stage, run.seed, work, on_step)
        rows = encoded_rows(self.recipe, run, tokenizer, self.source)
        return finetune(model, tokenizer, rows, stage, run.seed, work, on_step)

    def _card(self, run: Run, base: Stage, facts: dict[str, Any]) -> dict[str, Any]:
        stage = self.recipe.stages[run.stage]
        replay = self.recipe.replay if replay_share(self.recipe, run) else None
        return {
            "stage": run.name,
            "parent": self._parent_name(run),
            "digest": self.digests[run.name],
            "base_fingerprint": base.fingerprint(),
            "seed": run.seed,
            "settings": stage.model_dump(mode="json", exclude={"parent", "seeds"}),
            "data": self.recipe.data[stage.data].model_dump(mode="json"),
            "replay": replay.model_dump(mode="json") if replay else None,
            "lora": self.recipe.lora.model_dump(mode="json"),
            **facts,
            "versions": library_versions(),
        }
