"""What this machine has for the toolkit: versions, device, cache, hub, browser, extras. Changes nothing."""

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
EXTRAS = {"train": ("trl", "datasets", "accelerate"), "ray": ("ray",), "notebooks": ("jupyter", "nbconvert")}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `note` is something to know, `error` something that will not work."""

    level: Literal["ok", "note", "error"]
    what: str
    value: str


def diagnose() -> list[Finding]:
    """Findings about this machine, in the order a newcomer needs them."""
    found = [Finding("ok", "python", platform.python_version())]
    for package in CORE:
        try:
            found.append(Finding("ok", package, version(package)))
        except PackageNotFoundError:
            found.append(Finding("error", package, f"not installed: pip install {package}"))
    found += [_device(), _cache(), _hub(), _browser()]
    for extra, modules in EXTRAS.items():
        absent = [m for m in modules if importlib.util.find_spec(m) is None]
        told = f"not installed: pip install 'spec-probes[{extra}]'" if absent else "installed"
        found.append(Finding("note" if absent else "ok", f"extra {extra}", told))
    return found


def _device() -> Finding:
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Finding("ok", "device", f"cuda: {names}")
    if torch.backends.mps.is_available():
        return Finding("ok", "device", "mps")
    return Finding(
        "ok", "device", f"cpu, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    )


def _cache() -> Finding:
    folder = cache_folder()
    parent = next(p for p in (folder, *folder.parents) if p.exists())
    if os.access(parent, os.W_OK):
        return Finding("ok", "cache", str(folder))
    return Finding("error", "cache", f"{folder} cannot be written: set PROBES_CACHE to a folder that can")


def _hub() -> Finding:
    if HF_HUB_OFFLINE:
        return Finding("note", "hub", "offline (HF_HUB_OFFLINE is set): only what is cached can be loaded")
    return Finding("ok", "hub", "allowed (not contacted)")


def _browser() -> Finding:
    browser = find_browser()
    if browser:
        return Finding("ok", "browser", str(browser))
    return Finding("note", "browser", "no Chrome or Chromium: figures as HTML only, no PDF, SVG or PNG")
