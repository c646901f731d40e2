"""What every library is given, in whichever environment it lives: the weights, the texts and the problems.

`benchmarks/peers.py` writes the folder and runs the scripts beside this one. Each of them times one library
in turns with a yardstick that needs no library (the bare forward, scikit-learn, plain passes), so that ratios
can be compared where seconds of different environments cannot.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import forget_peak, in_turns, machine, memory_mb, ratio, save

YARDSTICK = "yardstick"


class Task:
    """The folder, read as it is needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def given(self) -> dict[str, Any]:
        """Texts, rows of token ids, batches of row numbers, tokenizer settings, and what is steered."""
        return json.loads((self.folder / "task.json").read_text())

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """`values` `[layer, text, width]`, and `X` `[layer, row, width]` and `y` of the probing problem."""
        return dict(np.load(self.folder / "arrays.npz"))

    @property
    def weights(self) -> str:
        return str(self.folder / "model")

    def model(self) -> Any:
        """The transformers model in float32, anew each time: some libraries change what they wrap."""
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(self.weights, dtype=torch.float32).eval()

    def tokenizer(self, side: str = "left") -> Any:
        """Made from its file alone: transformers 4 does not know the settings that transformers 5 writes."""
        from transformers import PreTrainedTokenizerFast

        file = str(self.folder / "model" / "tokenizer.json")
        return PreTrainedTokenizerFast(tokenizer_file=file, padding_side=side, **self.given["tokenizer"])

    def stage(self) -> Any:
        """The model as a loaded stage of this project."""
        from probes.lineage import LoadedStage

        return LoadedStage.from_model(self.model(), self.tokenizer("right"), name="base")


Side = Callable[[Task], Callable[[], np.ndarray]]
"""Makes ready, and returns what is timed."""


def measured(
    libraries: Mapping[str, Side],
    yardstick: Callable[[Task], Callable[[], Any]],
    compare: Callable[[Task, np.ndarray], dict[str, Any]],
    packages: Mapping[str, str],
) -> None:
    """Command line of a script: time one of the libraries in turns with the yardstick, and save it all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=list(libraries))
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()

    task = Task(args.folder)
    plain, library = yardstick(task), libraries[args.library](task)
    found: list[np.ndarray] = []
    plain()
    before = memory_mb("VmRSS")
    forget_peak()
    found.append(library())
    more = memory_mb("VmHWM") - before
    seconds = in_turns({YARDSTICK: plain, args.library: library}, args.repeats)
    save(
        {
            **ratio(seconds, args.library, YARDSTICK),
            "seconds": seconds,
            "more_memory_mb": more,
            **compare(task, found[0]),
            **machine(("torch", "transformers", "scikit-learn", packages[args.library])),
        },
        args.out,
    )
