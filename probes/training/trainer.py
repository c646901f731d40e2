"""What all training stages share, whichever trainer runs them: libraries, adapter, arguments, resuming."""

from __future__ import annotations

import importlib
import importlib.metadata
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from probes.errors import MissingDependencyError, RecipeError
from probes.training.recipe import LoraSettings, StageRecipe

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
OnStep = Callable[[int, int, float | None], None]
"""Called with (step, total steps, loss or None) after every optimiser step."""


def require_training_libraries() -> None:
    """Check that the libraries of the `train` extra are there.

    Raises
    ------
    MissingDependencyError
        One of them is not installed.
    """
    for library in ("trl", "peft", "datasets", "accelerate"):
        try:
            importlib.import_module(library)
        except ImportError as missing:
            raise MissingDependencyError(
                "training needs the extra: pip install 'spec-probes[train]'"
            ) from missing


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide the outcome of a training run."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def with_adapter(model: Any, lora: LoraSettings, parent: Path | None) -> Any:
    """Put a trainable LoRA adapter on `model`: a new one, or the parent stage's, whose training goes on.

    Raises
    ------
    RecipeError
        `target_modules` names no module of the model.
    """
    from peft import LoraConfig, PeftModel, get_peft_model

    targets = lora.target_modules
    try:
        if parent is not None:
            adapted = PeftModel.from_pretrained(model, str(parent), is_trainable=True)
        else:
            config = LoraConfig(
                r=lora.rank,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules=targets if isinstance(targets, str) else list(targets),
                task_type="CAUSAL_LM",
            )
            adapted = get_peft_model(model, config)
    except ValueError as wrong:
        raise RecipeError(
            f"lora.target_modules = {targets!r} does not fit the base model: {wrong}"
        ) from wrong
    # PEFT looks a base model's name up on the hub at every save; the stage is known by its card instead.
    adapted.peft_config["default"].base_model_name_or_path = ""
    return adapted


def arguments(settings: StageRecipe, seed: int, folder: Path, cpu: bool) -> dict[str, Any]:
    """Arguments that TRL's configs share; trainer checkpoints go to `folder`."""
    return {
        "output_dir": str(folder),
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps if settings.max_steps is not None else -1,
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": settings.warmup_steps,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "optim": "adamw_torch",
        "seed": seed,
        "data_seed": seed,
        "bf16": False,
        "fp16": False,
        "use_cpu": cpu,
        "activation_checkpointing": False,
        "dataloader_pin_memory": False,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": settings.save_steps,
        "save_total_limit": 1,
        "report_to": [],
        "disable_tqdm": True,
    }


def run(trainer: Any, folder: Path, on_step: OnStep | None) -> dict[str, Any]:
    """Train, continuing from the last checkpoint in `folder`; returns steps, loss curve and seconds."""
    from transformers.trainer_callback import PrinterCallback, TrainerCallback
    from transformers.trainer_utils import get_last_checkpoint

    class Report(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
            if on_step:
                on_step(state.global_step, state.max_steps, losses[-1] if losses else None)

    trainer.add_callback(Report())
    trainer.remove_callback(PrinterCallback)
    started = time.monotonic()
    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    return {
        "steps": trainer.state.global_step,
        "loss": [[e["step"], round(e["loss"], 4)] for e in trainer.state.log_history if "loss" in e],
        "seconds": round(time.monotonic() - started, 1),
        "resumed": last is not None,
    }
