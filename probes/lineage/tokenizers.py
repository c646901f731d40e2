"""The tokenizer that a stage is read with: where it comes from and whether it fits the model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from probes.errors import TokenizerError
from probes.lineage.entries import Entry
from probes.lineage.gguf import converted_folder
from probes.lineage.hub import hub_folder
from probes.lineage.quiet import one_line, quiet_transformers
from probes.lineage.records import AdapterCheckpoint, HubCheckpoint, Manifest
from probes.lineage.sources import adapter_folder, folder_or_hub, weights_source

_VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "tekken.json",
)


def tokenizer_source(entry: Entry) -> Path:
    """The folder, or the GGUF file, that a stage's tokenizer comes from.

    The manifest's `tokenizer` may say `own` (the checkpoint's), `parent` (the parent's), a path or a hub id.
    Without it, the checkpoint's own is taken if there is one, else that of the stage an adapter goes onto,
    else the parent's.

    Raises
    ------
    TokenizerError
        There is no tokenizer in the place that was named, or in any of the places that were tried.

    Example
    -------
    >>> tokenizer_source(lineage["mid"].entry).name  # the adapter ships none
    'base'
    """
    wish, parent = entry.record.tokenizer, entry.parent
    if wish == "parent" and parent is not None:
        return tokenizer_source(parent)
    if wish is not None and wish != "own":
        folder = folder_or_hub(entry, wish, None, None, "tokenizer")
        if not _ships_tokenizer(folder):
            raise TokenizerError(f"stage {entry.name}: tokenizer = {wish!r}: no tokenizer files in {folder}")
        return folder
    own = _own_source(entry)
    if own.is_file() or _ships_tokenizer(own):
        return own
    if wish == "own":
        raise TokenizerError(f"stage {entry.name}: tokenizer = 'own', but {own} ships no tokenizer files")
    fallback = entry.onto or parent
    if fallback is None:
        raise TokenizerError(
            f"stage {entry.name}: {own} ships no tokenizer and there is no parent to take one from; "
            "set tokenizer to a path or hub id"
        )
    return tokenizer_source(fallback)


def load_tokenizer(entry: Entry, *, trust_remote_code: bool = False) -> Any:
    """A stage's tokenizer, a new object each time. Raises TokenizerError if its files cannot be read.

    Example
    -------
    >>> len(load_tokenizer(lineage["base"].entry))
    383
    """
    from transformers import AutoTokenizer

    source = tokenizer_source(entry)
    if source.is_file():
        source = converted_folder(source)
    try:
        with quiet_transformers():
            return AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
    except Exception as error:  # tokenizer files fail in as many ways as there are formats
        raise TokenizerError(
            f"stage {entry.name}: the tokenizer in {source} cannot be loaded: {one_line(error)}"
        ) from error


def reference_tokenizer(manifest: Manifest, file: Path) -> Any:
    """The first stage's tokenizer with the first chat template that any stage has, in the manifest's order.

    The first stage in topological order is a root. The template stays None when no stage has one.
    """
    entries = [Entry(name, manifest, file) for name in manifest.stages]
    tokenizer = load_tokenizer(entries[0])
    for entry in entries:
        if tokenizer.chat_template is not None:
            break
        tokenizer.chat_template = load_tokenizer(entry).chat_template
    return tokenizer


def check_same_tokens(name: str, own: Any, reference: Any, ids: Iterable[int]) -> None:
    """Check that token ids mean the same tokens to a stage as to the tokenizer that encoded them.

    Parameters
    ----------
    name : the stage's name, for the error message.
    own : the stage's own tokenizer.
    reference : the tokenizer that encoded the texts.
    ids : the token ids that the stage is given.

    Raises
    ------
    TokenizerError
        The first id that is another token in the stage's own tokenizer.

    Example
    -------
    >>> from probes.lineage import check_same_tokens
    >>> loaded = stage.load(device="cpu")
    >>> check_same_tokens("mid", loaded.tokenizer, loaded.reference_tokenizer, [5, 6, 7])
    """
    used = sorted(set(ids))
    pairs = zip(reference.convert_ids_to_tokens(used), own.convert_ids_to_tokens(used), strict=True)
    for token_id, (there, here) in zip(used, pairs, strict=True):
        if there != here:
            raise TokenizerError(
                f"stage {name!r}: token id {token_id} is {here!r} in its own tokenizer but {there!r} in the "
                'one its texts are rendered with, so the same ids cannot be compared: use render="own"'
            )


def check_vocabulary(tokenizer: Any, model: Any, name: str) -> None:
    """Raise TokenizerError if the tokenizer has token ids that the model has no embedding for.

    Fewer ids than rows of embeddings are usual, because rows are padded to round numbers.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    ids = max(tokenizer.get_vocab().values(), default=-1) + 1
    if ids > rows:
        raise TokenizerError(
            f"stage {name}: its tokenizer has {ids} ids and the model {rows} embedding rows: "
            "this tokenizer is another model's; set tokenizer in the manifest"
        )


def _own_source(entry: Entry) -> Path:
    checkpoint = entry.checkpoint
    if isinstance(checkpoint, AdapterCheckpoint):
        return adapter_folder(entry)
    if isinstance(checkpoint, HubCheckpoint):
        return hub_folder(checkpoint.hub, checkpoint.revision, checkpoint.subfolder, "tokenizer")
    return weights_source(entry)


def _ships_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _VOCABULARIES)
