"""A finished stage on disk: its adapter in bfloat16, the adapter's config, and a card that says what made it.

This is what makes a build resumable: a stage is finished when its card carries the digest that its recipe,
data and parent have now.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from probes.errors import OutputError, RecipeError
from probes.training.data import FileTable
from probes.training.dataset import TrainingData
from probes.training.recipe import Recipe, Run

CARD = "card.json"
_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"
_LABELS = {"kind", "arm", "save_steps", "parent", "data", "seeds"}  # names and labels: they train nothing
_MADE_ROWS = 64  # rows of made data that identify them; they may have no end

DIGEST_VERSIONS = (2, 1)
"""Ways to compute a run's digest, the current one first.

Version 2 contains the chats that are replayed. Version 1 does not, because they were part of the package
then; the adapters shipped in `checkpoints/msm-mini` carry it. Where no chats are replayed, both are the same.
"""


def adapter_folder(run: Run) -> str:
    """Where a run's adapter lives, relative to the lineage's folder."""
    return f"adapters/{run.stage}-s{run.seed}"


def run_digest(recipe: Recipe, run: Run, data: TrainingData, version: int = DIGEST_VERSIONS[0]) -> str:
    """Digest of all that decides the outcome of a run: settings, seed, data, replay, base and parent.

    Files are identified by all their rows, made data by their table and the first 64 rows.

    Parameters
    ----------
    recipe : Recipe
        The recipe that the run belongs to.
    run : Run
        A stage and a seed.
    data : TrainingData
        The recipe's data.
    version : int
        How the digest is computed, one of `DIGEST_VERSIONS`.

    Returns
    -------
    str
        SHA-256, in hex.
    """
    stage, parent, replay = recipe.stages[run.stage], recipe.parent(run), recipe.replay_of(run)
    table = data.tables[stage.data]
    rows = islice(data.rows(stage.data, run.seed), None if isinstance(table, FileTable) else _MADE_ROWS)
    about = {
        "stage": stage.model_dump(mode="json", exclude=_LABELS),
        "data": table.model_dump(mode="json"),
        "rows": [dict(row) for row in rows],
        "lora": recipe.lora.model_dump(mode="json"),
        "replay": replay.model_dump(mode="json", exclude={"chats"}) if replay else None,
        "seed": run.seed,
        "parent": run_digest(recipe, parent, data, version)
        if parent
        else recipe.base.checkpoint.model_dump(mode="json"),
    }
    if version > 1 and replay and replay.chats:
        about["replayed_chats"] = [dict(chat) for chat in data.replayed_chats(replay, run.seed)]
    return digest_of(about)


def run_digests(recipe: Recipe, run: Run, data: TrainingData) -> tuple[str, ...]:
    """The digests of a run that mark a stage as finished, the current version's first."""
    return tuple(run_digest(recipe, run, data, version) for version in DIGEST_VERSIONS)


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, in hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def is_finished(folder: Path, digests: Collection[str]) -> bool:
    """Whether `folder` holds an adapter whose card carries one of the run's digests."""
    card = read_card(folder)
    return card is not None and card.get("digest") in digests


def read_card(folder: Path) -> dict[str, Any] | None:
    """The card of a finished stage; None where there is none.

    Raises
    ------
    RecipeError
        The card is damaged.
    """
    if not (folder / CARD).is_file() or not (folder / _WEIGHTS).is_file():
        return None
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        card = error
    if not isinstance(card, dict):
        raise RecipeError(f"{folder / CARD}: damaged ({card}); delete {folder} to train the stage again")
    return card


def save_finished(model: Any, folder: Path, card: dict[str, Any], base_label: str) -> None:
    """Write the adapter of a PEFT `model` and its card to `folder`, all or nothing.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    import torch
    from safetensors.torch import load_file, save_file

    with _all_or_nothing(folder) as unfinished:
        model.save_pretrained(str(unfinished))
        weights = load_file(unfinished / _WEIGHTS)
        save_file(
            {key: value.to(torch.bfloat16) for key, value in weights.items()},
            unfinished / _WEIGHTS,
            metadata={"format": "pt"},
        )
        config = json.loads((unfinished / _CONFIG).read_text(encoding="utf-8"))
        config |= {"base_model_name_or_path": base_label, "inference_mode": True}
        (unfinished / _CONFIG).write_text(
            json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        (unfinished / CARD).write_text(_dump(card), encoding="utf-8")
        (unfinished / "README.md").unlink(missing_ok=True)


def copy_finished(source: Path, folder: Path) -> None:
    """Copy a finished stage from another lineage's folder, all or nothing.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    with _all_or_nothing(folder) as unfinished:
        shutil.copytree(source, unfinished)


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[Path]:
    """A path to fill, which takes the place of `folder` once it is whole."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        yield unfinished
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder}: the adapter cannot be written: {error}") from error


def _dump(card: dict[str, Any]) -> str:
    """Indented JSON with the loss curve on one line."""
    curve = card.get("loss")
    text = json.dumps({**card, "loss": "@"}, indent=2)
    return text.replace('"@"', json.dumps(curve)) + "\n"
