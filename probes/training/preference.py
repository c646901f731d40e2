"""Train one stage on preference pairs, by TRL's DPOTrainer (Rafailov et al., arXiv 2305.18290).

The reference policy is the parent stage: TRL keeps a frozen copy of the adapter as it was at the start.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from probes.lineage import pinned_template
from probes.training.recipe import StageRecipe
from probes.training.trainer import OnStep, arguments, run


def optimise_preferences(
    model: Any,
    tokenizer: Any,
    rows: list[dict[str, Any]],
    settings: StageRecipe,
    seed: int,
    folder: Path,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Train the adapter of `model` in place on preference pairs (DPO; Rafailov et al., arXiv 2305.18290).

    Parameters
    ----------
    model : peft.PeftModel
        A model with a trainable adapter, in float32.
    tokenizer : transformers tokenizer
        Renders and encodes the messages.
    rows : list of dict
        `prompt`, `chosen` and `rejected`, each a list of messages.
    settings : StageRecipe
        Learning rate, number of epochs or steps, beta, and so on.
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
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    config = DPOConfig(
        **arguments(settings, seed, folder, model.device.type == "cpu"),
        beta=settings.beta,
        max_length=settings.max_length,
    )
    renderer = copy.deepcopy(tokenizer)
    renderer.chat_template = pinned_template(tokenizer)
    trainer = DPOTrainer(
        model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=renderer
    )
    facts = run(trainer, folder, on_step)
    model.delete_adapter("ref")
    encoded: Any = trainer.train_dataset
    answers = [len(row[side]) for row in encoded for side in ("chosen_ids", "rejected_ids")]
    prompts = sum(2 * len(row["prompt_ids"]) for row in encoded)
    return facts | {
        "examples": len(rows),
        "tokens": prompts + sum(answers),
        "labelled_tokens": sum(answers),
    }
