"""`check`: does every stage of a lineage load, fit its parent, and differ from it where it should?"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Unpack

from tqdm import tqdm

from probes.errors import CheckpointError, ProbesError
from probes.lineage.adapter_base import other_base
from probes.lineage.decoders import context_window, decoder_blocks, input_device
from probes.lineage.equality import WeightsSeen
from probes.lineage.hub import HubPart, download_bytes, hub_folder
from probes.lineage.loading import LoadOptions
from probes.lineage.quiet import one_line
from probes.lineage.skeleton import model_skeleton
from probes.lineage.sources import hub_parts
from probes.lineage.stages import Lineage, Stage
from probes.lineage.templates import (
    appended_tokens,
    changes_by_itself,
    split_markers,
    split_markers_note,
)
from probes.lineage.tokenizer_differences import TEXT, tokenizer_differences
from probes.lineage.tokenizers import load_tokenizer

MIN_CHANGE = 1e-4
"""The smallest change of the logits that counts as an effect of an adapter: the norm of the change divided by
the norm of the logits without the adapter."""

_NOT_LOADED = "not loaded: a check downloads nothing unless asked to"


@dataclass(frozen=True)
class CheckResult:
    """One thing that `check` saw at one stage.

    Example
    -------
    >>> from probes.lineage import CheckResult
    >>> print(CheckResult("mid", "error", "its logits on a short text are not finite"))
    error  mid: its logits on a short text are not finite
    """

    stage: str
    level: Literal["ok", "note", "error"]
    what: str

    def __str__(self) -> str:
        return f"{self.level:5}  {self.stage}: {self.what}"


@dataclass(frozen=True)
class _Facts:
    """What is kept of a loaded stage when its weights are let go."""

    shape: dict[str, int]
    tokenizer: Any
    logits: Any  # [seq, vocab], on `ids`
    ids: Any  # [1, seq], encoded by the tokenizer of the full weights at the bottom of the adapter chain


def check(
    lineage: Lineage,
    quick: bool = False,
    *,
    download: bool = False,
    progress: bool = False,
    **load_options: Unpack[LoadOptions],
) -> list[CheckResult]:
    """Check every stage of a lineage, one in memory at a time.

    For each stage it is reported how much has to be downloaded, whether the stage loads, whether its shapes,
    vocabulary, tokenizer and chat template agree with its parent's, and whether an adapter changes the logits
    at all.

    Parameters
    ----------
    lineage : the lineage, or a subset of it.
    quick : load no model: tokenizers are loaded, and configs, the headers of weight files and adapters are
        compared with each other. Of the weights a sample is read, and more only where it is the same at two
        stages. Whether a model is causal and finite is then not known.
    download : also download what the hub's cache lacks. Without it, only the size is reported for a stage
        that would have to be downloaded; files that several stages share count at the first of them.
    progress : draw a progress bar on stderr.
    load_options : those of `Stage.load`.

    Returns
    -------
    Results in the lineage's order. Problems are results of level `error`, not exceptions.

    Example
    -------
    >>> from probes.lineage import check
    >>> for result in check(lineage.subset(["base", "mid"]), device="cpu"):
    ...     print(result)
    ok     base: to download: 0 bytes
    ok     base: loads: LlamaForCausalLM, 32 hidden size, 3 layers, 400 embedding rows
    ok     mid: to download: 0 bytes
    ok     mid: loads: LlamaForCausalLM, 32 hidden size, 3 layers, 400 embedding rows
    ok     mid: tokenizer and chat template as base
    ok     mid: the adapter changes the logits of base by ... (relative)
    """
    results: list[CheckResult] = []
    facts: dict[str, _Facts] = {}
    allow_pickle = load_options.get("allow_pickle", False)
    sizes = _Sizes(allow_pickle)
    seen = WeightsSeen({} if download else sizes.bytes)
    templates = _Templates(lineage, download, allow_pickle)
    shapes: dict[str, dict[str, int]] = {}  # of the stages whose files fit, for `quick`
    for stage in tqdm(list(lineage), desc="stages", disable=not progress):
        try:
            size = sizes.of(stage)
            if sizes.lacking(stage) and not download:
                results.append(CheckResult(stage.name, "note", f"{_to_download(size)}; {_NOT_LOADED}"))
                results += _equal(stage, seen)
                continue
            if size is not None:
                results.append(CheckResult(stage.name, "ok", _to_download(size)))
            else:
                _check_cache(stage, allow_pickle)
            if quick:
                tokenizer = load_tokenizer(stage.entry)
                results += _quick(stage, tokenizer, shapes, load_options)
                results += [*templates.of(stage, tokenizer), *_other_base(stage), *_equal(stage, seen)]
                continue
            facts[stage.name] = _load(stage, facts, results, load_options)
        except ProbesError as error:
            results.append(CheckResult(stage.name, "error", str(error)))
            continue
        results += [*templates.of(stage, facts[stage.name].tokenizer), *_other_base(stage)]
        results += _equal(stage, seen)
        if size is None:
            results.append(
                CheckResult(stage.name, "note", "read from the hub's cache: the hub cannot be asked")
            )
        if stage.parent in facts:
            results += _against_parent(stage, facts[stage.name], facts[stage.parent])
        results += _adapter_effect(stage, facts)
    return results


def _other_base(stage: Stage) -> list[CheckResult]:
    difference = other_base(stage.entry)
    return [CheckResult(stage.name, "note", difference)] if difference else []


def _equal(stage: Stage, seen: WeightsSeen) -> list[CheckResult]:
    other = seen.equal_to(stage.entry, stage.parent)
    return [CheckResult(stage.name, "note", f"equals {other}, tensor for tensor")] if other else []


def _check_cache(stage: Stage, allow_pickle: bool) -> None:
    """Raise OfflineError for the first part that the hub's cache lacks, the stage's own before its base's."""
    for part in reversed(hub_parts(stage.entry)):
        hub_folder(*part, allow_pickle=allow_pickle)


class _Sizes:
    """How much there is to download. The hub is asked once for each part of a repository."""

    def __init__(self, allow_pickle: bool) -> None:
        self.allow_pickle = allow_pickle
        self.bytes: dict[HubPart, int | None] = {}

    def of(self, stage: Stage) -> int | None:
        """Bytes that no earlier stage needed; None when the hub cannot be asked. Raises CheckpointError."""
        parts = hub_parts(stage.entry)
        fresh = [part for part in parts if part not in self.bytes]
        for part in fresh:
            self.bytes[part] = download_bytes(part, allow_pickle=self.allow_pickle)
        if any(self.bytes[part] is None for part in parts):
            return None
        return sum(self.bytes[part] or 0 for part in fresh)

    def lacking(self, stage: Stage) -> bool:
        """Whether something that the stage needs is certainly not on this machine."""
        return any(self.bytes[part] for part in hub_parts(stage.entry))


def _to_download(size: int | None) -> str:
    if size is None:
        return "to download: unknown"
    scale = f" ({size / 1e9:.1f} GB)" if size >= 1e9 else f" ({size / 1e6:.0f} MB)" if size >= 1e6 else ""
    return f"to download: {size:,} bytes{scale}"


class _Templates:
    """What has to be said of a stage's tokens beside how its tokenizer differs from its parent's."""

    def __init__(self, lineage: Lineage, download: bool, allow_pickle: bool) -> None:
        self.lineage = lineage
        self.download = download
        self.allow_pickle = allow_pickle

    def of(self, stage: Stage, tokenizer: Any) -> list[CheckResult]:
        """Notes on markers that shared rendering cuts up, on a template that changes by itself, and on tokens
        that the tokenizer puts after a text."""
        notes = []
        if self.shared is not None and (markers := split_markers(tokenizer, self.shared)):
            notes.append(split_markers_note(markers, self.lineage.reference_stage))
        if changing := changes_by_itself(tokenizer):
            notes.append(changing)
        if appended := appended_tokens(tokenizer):
            ids = tokenizer("").input_ids[-appended:]
            tokens = ", ".join(map(repr, tokenizer.convert_ids_to_tokens(ids)))
            notes.append(f"the tokenizer puts {tokens} after every text, which is left out of what is read")
        return [CheckResult(stage.name, "note", note) for note in notes]

    @cached_property
    def shared(self) -> Any:
        """The tokenizer of the whole lineage; None where it cannot be read, or would have to be downloaded
        and nothing is to be."""
        with suppress(ProbesError):  # reported at the stage whose tokenizer it is
            if self.download or not not_here(self.lineage.origin, self.allow_pickle):
                return self.lineage.reference_tokenizer()
        return None


def not_here(lineage: Lineage, allow_pickle: bool = False) -> set[str]:
    """The names of the stages of which something would have to be downloaded.

    Example
    -------
    >>> not_here(lineage)
    set()
    """
    sizes = _Sizes(allow_pickle)
    for stage in lineage:
        sizes.of(stage)
    return {stage.name for stage in lineage if sizes.lacking(stage)}


def _quick(
    stage: Stage, tokenizer: Any, shapes: dict[str, dict[str, int]], options: LoadOptions
) -> list[CheckResult]:
    """What files tell without the weights; the stage's shape goes into `shapes`."""
    model = model_skeleton(
        stage.entry,
        allow_pickle=options.get("allow_pickle", False),
        trust_remote_code=options.get("trust_remote_code", False),
    )
    shapes[stage.name] = own = _shape(model)
    results = [
        CheckResult(
            stage.name, "ok", f"the shapes in its files fit: {_described(model, own)}; it was not loaded"
        ),
        CheckResult(stage.name, "ok", f"tokenizer loads: {len(tokenizer)} ids"),
    ]
    if stage.parent in shapes:
        results += _other_shape(stage, own, shapes[stage.parent])
    if stage.parent is not None:
        results += _tokenizer_notes(stage, tokenizer, load_tokenizer(stage.lineage[stage.parent].entry))
    return results


def _tokenizer_notes(stage: Stage, own: Any, parents: Any) -> list[CheckResult]:
    return [
        CheckResult(stage.name, "note", f"tokenizer against {stage.parent}: {difference}")
        for difference in tokenizer_differences(own, parents)
    ]


def _load(stage: Stage, facts: dict[str, _Facts], results: list[CheckResult], options: LoadOptions) -> _Facts:
    import torch

    loaded = stage.load(**options)
    model: Any = loaded.model
    base, adapters = stage.entry.adapter_chain()
    onto = adapters[-1].onto if adapters else None
    if onto is not None and onto.name not in facts:
        facts[onto.name] = _load(stage.lineage.origin[onto.name], facts, [], options)
    ids = facts[onto.name].ids if onto else load_tokenizer(base)(TEXT, return_tensors="pt").input_ids
    decoder_blocks(model)
    try:
        ids = ids[:, : context_window(model.config.get_text_config(decoder=True))]
        with torch.inference_mode():
            logits = model(ids.to(input_device(model)), use_cache=False).logits[0].float().cpu()
    except Exception as error:  # whatever the model's own code runs into
        raise CheckpointError(f"a forward of a short text fails: {one_line(error)}") from error
    shape = _shape(model)
    results.append(CheckResult(stage.name, "ok", f"loads: {_described(model, shape)}"))
    if names := loaded.ignored_weights:
        what = f"{len(names)} tensors of the checkpoint have no place (first {names[0]})"
        results.append(CheckResult(stage.name, "note", what))
    results += [CheckResult(stage.name, "note", note) for note in loaded.notes]
    if not torch.isfinite(logits).all():
        results.append(CheckResult(stage.name, "error", "its logits on a short text are not finite"))
    return _Facts(shape, loaded.tokenizer, logits, ids)


def _shape(model: Any) -> dict[str, int]:
    config = model.config.get_text_config()
    return {
        "hidden size": config.hidden_size,
        "layers": config.num_hidden_layers,
        "embedding rows": model.get_input_embeddings().weight.shape[0],
    }


def _described(model: Any, shape: dict[str, int]) -> str:
    return ", ".join([type(model).__name__, *(f"{value} {key}" for key, value in shape.items())])


def _other_shape(stage: Stage, own: dict[str, int], parents: dict[str, int]) -> list[CheckResult]:
    results = []
    for key, value in own.items():
        if value != parents[key]:
            level = "note" if key == "embedding rows" else "error"
            what = f"{value} {key}, its parent {stage.parent} has {parents[key]}"
            results.append(CheckResult(stage.name, level, what))
    return results


def _against_parent(stage: Stage, own: _Facts, parents: _Facts) -> list[CheckResult]:
    results = _other_shape(stage, own.shape, parents.shape)
    notes = _tokenizer_notes(stage, own.tokenizer, parents.tokenizer)
    same = CheckResult(stage.name, "ok", f"tokenizer and chat template as {stage.parent}")
    return [*results, *(notes or [same])]


def _adapter_effect(stage: Stage, facts: dict[str, _Facts]) -> list[CheckResult]:
    if stage.entry.onto is None:
        return []
    onto = stage.entry.onto.name
    adapted, plain = facts[stage.name].logits, facts[onto].logits
    width = min(adapted.shape[-1], plain.shape[-1])
    change = float((adapted[:, :width] - plain[:, :width]).norm() / plain[:, :width].norm())
    if change > MIN_CHANGE:
        what = f"the adapter changes the logits of {onto} by {change:.2g} (relative)"
        return [CheckResult(stage.name, "ok", what)]
    what = (
        f"the adapter does nothing: logits differ from {onto} by {change:.1g} (relative), expected more "
        f"than {MIN_CHANGE:g}; it was saved untrained, or its weights were not read"
    )
    return [CheckResult(stage.name, "error", what)]
