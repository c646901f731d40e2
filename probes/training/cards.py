"""A finished stage on disk: adapter in bfloat16, its config, and `card.json` saying what made it.

Apart from `build` because this is what makes a build resumable: a stage is finished when its card carries
the digest that its recipe, data and parent have now.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from probes.errors import OutputError, RecipeError
from probes.training.dataset import replay_share, source_rows
from probes.training.recipe import Recipe, Run

CARD = "card.json"
_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"
_LABELS = {"kind", "arm", "save_steps", "parent", "data", "seeds"}  # names and labels: they train nothing


def adapter_folder(run: Run) -> str:
    """Where a run's adapter lives, relative to the lineage's folder."""
    return f"adapters/{run.stage}-s{run.seed}"


def run_digest(recipe: Recipe, run: Run, folder: Path) -> str:
    """Hex digest of all that decides the outcome of a run: settings, seed, data, replay, base and parent.

    Args:
        folder: where the recipe is; data files are relative to it and identified by content.
    """
    stage, parent = recipe.stages[run.stage], recipe.parent(run)
    data = recipe.data[stage.data]
    read = None if hasattr(data, "path") else 64
    about = {
        "stage": stage.model_dump(mode="json", exclude=_LABELS),
        "data": data.model_dump(mode="json"),
        "rows": [dict(row) for row in islice(source_rows(data, folder, run.seed), read)],
        "lora": recipe.lora.model_dump(mode="json"),
        "replay": recipe.replay.model_dump(mode="json")
        if replay_share(recipe, run) and recipe.replay
        else None,
        "seed": run.seed,
        "parent": run_digest(recipe, parent, folder)
        if parent
        else recipe.base.checkpoint.model_dump(mode="json"),
    }
    return digest_of(about)


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, in hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def is_finished(folder: Path, digest: str) -> bool:
    """Whether `folder` holds an adapter made by exactly this recipe."""
    card = read_card(folder)
    return card is not None and card.get("digest") == digest


def read_card(folder: Path) -> dict[str, Any] | None:
    """The card of a finished stage; None where there is none.

    Raises:
        RecipeError: the card is damaged.
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

    Raises:
        OutputError: the folder cannot be written.
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

    Raises:
        OutputError: the folder cannot be written.
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
