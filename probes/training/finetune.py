"""Train one stage on documents or chats: TRL's SFTTrainer trains a LoRA adapter and can resume.

It knows nothing of recipe files, so it can be called on any model in memory.
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
    """Train the adapter of `model` in place on `rows`.

    Parameters
    ----------
    model : peft.PeftModel
        A model with a trainable adapter, in float32.
    tokenizer : transformers tokenizer
        Pads the batches.
    rows : list of dict
        `input_ids` and `labels` of each document or chat (see `encode`).
    settings : StageRecipe
        Learning rate, number of epochs or steps, and so on.
    seed : int
        Decides the order of the rows.
    folder : Path
        Trainer checkpoints go here; one left by an interrupted run is continued.
    on_step : callable, optional
        Called with the step, the number of steps and the loss after every step.

    Returns
    -------
    dict
        Steps, loss curve, seconds, whether it continued, and how many examples and tokens there were.
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
