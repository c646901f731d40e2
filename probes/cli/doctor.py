"""`probes doctor`: what this machine has of what the toolkit needs. It changes nothing."""

from __future__ import annotations

import importlib.util
import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import torch
from huggingface_hub.constants import HF_HUB_OFFLINE

from probes.figures import find_browser
from probes.lineage import cache_folder

CORE = (
    "torch",
    "transformers",
    "transformer-lens",
    "nnsight",
    "peft",
    "scikit-learn",
    "numpy",
    "polars",
    "plotly",
)
EXTRAS = {"train": ("trl", "datasets", "accelerate"), "notebooks": ("jupyter", "nbconvert")}


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at. A note is good to know; an error means that something will not work."""

    level: Literal["ok", "note", "error"]
    what: str
    value: str


def diagnose() -> list[Diagnosis]:
    """The diagnoses of this machine, in the order in which a newcomer needs them."""
    diagnoses = [Diagnosis("ok", "python", platform.python_version())]
    for package in CORE:
        try:
            diagnoses.append(Diagnosis("ok", package, version(package)))
        except PackageNotFoundError:
            diagnoses.append(Diagnosis("error", package, f"not installed: pip install {package}"))
    diagnoses += [_device(), _cache(), _hub(), _browser()]
    for extra, modules in EXTRAS.items():
        absent = [m for m in modules if importlib.util.find_spec(m) is None]
        state = f"not installed: pip install 'spec-probes[{extra}]'" if absent else "installed"
        diagnoses.append(Diagnosis("note" if absent else "ok", f"extra {extra}", state))
    return diagnoses


def _device() -> Diagnosis:
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Diagnosis("ok", "device", f"cuda: {names}")
    if torch.backends.mps.is_available():
        return Diagnosis("ok", "device", "mps")
    return Diagnosis(
        "ok", "device", f"cpu, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    )


def _cache() -> Diagnosis:
    folder = cache_folder()
    parent = next(p for p in (folder, *folder.parents) if p.exists())
    if os.access(parent, os.W_OK):
        return Diagnosis("ok", "cache", str(folder))
    return Diagnosis(
        "error", "cache", f"{folder} cannot be written: set PROBES_CACHE to a folder that can be written"
    )


def _hub() -> Diagnosis:
    if HF_HUB_OFFLINE:
        return Diagnosis("note", "hub", "offline (HF_HUB_OFFLINE is set): only what is cached can be loaded")
    return Diagnosis("ok", "hub", "allowed (not contacted)")


def _browser() -> Diagnosis:
    browser = find_browser()
    if browser:
        return Diagnosis("ok", "browser", str(browser))
    return Diagnosis("note", "browser", "no Chrome or Chromium: figures as HTML only, no PDF, SVG or PNG")
