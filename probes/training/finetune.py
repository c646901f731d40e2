"""One stage of training on documents or chats: a LoRA adapter trained by TRL's SFTTrainer, resumable.

Apart from `build` so that it can be called on any model held in hand; it knows nothing of recipes' files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from probes.training.recipe import StageRecipe
from probes.training.trainer import OnStep, arguments, run


def finetune(
    model: Any,
    tokenizer: Any,
    rows: list[dict[str, list[int]]],
    settings: StageRecipe,
    seed: int,
    folder: Path,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Train the adapter of `model` in place on `rows`; returns steps, tokens, loss curve and seconds.

    Args:
        model: a PEFT model with a trainable adapter, in float32.
        rows: `input_ids` and `labels` (see `encode`).
        folder: trainer checkpoints go here; one left by an interrupted run is continued.
    """
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    config = SFTConfig(
        **arguments(settings, seed, folder, model.device.type == "cpu"),
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        train_sampling_strategy="group_by_length",
    )
    trainer = SFTTrainer(
        model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    )
    return run(trainer, folder, on_step) | {
        "examples": len(rows),
        "tokens": sum(len(row["input_ids"]) for row in rows),
        "labelled_tokens": sum(label >= 0 for row in rows for label in row["labels"]),
    }
