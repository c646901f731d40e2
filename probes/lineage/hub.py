"""Files of a repository on the Hugging Face hub: the few that a stage needs, at one revision.

Downloads and credentials are huggingface_hub's own; with no connection its cache is used.
"""

from __future__ import annotations

import os
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from probes.errors import CheckpointError, OfflineError
from probes.lineage.records import hub_label

Need = Literal["weights", "adapter", "tokenizer"]

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "tekken.json",
    "chat_template.jinja",
    "chat_template.json",
)
_found: dict[tuple[Any, ...], Path] = {}
_MARKERS = {"weights": "config.json", "adapter": "adapter_config.json", "tokenizer": "tokenizer_config.json"}


def hub_folder(
    repo: str,
    revision: str | None,
    subfolder: str | None,
    need: Need,
    *,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> Path:
    """The local folder with what `need` takes from `repo`, downloaded into the hub's cache when not there.

    The answer is kept for this process, so that a branch that moves does not change a stage half-way.
    Raises CheckpointError for a repository, revision or subfolder that does not exist or holds no such thing,
    OfflineError when the hub cannot be reached and the cache does not have it.
    """
    key = (repo, revision, subfolder, need, allow_pickle, trust_remote_code)
    if key not in _found or not _found[key].is_dir():
        _found[key] = _fetch(*key)
    return _found[key]


def _fetch(
    repo: str,
    revision: str | None,
    subfolder: str | None,
    need: Need,
    allow_pickle: bool,
    trust_remote_code: bool,
) -> Path:
    from huggingface_hub import snapshot_download

    label = hub_label(repo, revision, subfolder)
    names = _listing(repo, revision, label)
    if names is None:
        return _cached_folder(repo, revision, subfolder, need, label)
    chosen = _select(list(names), subfolder, need, allow_pickle, trust_remote_code)
    if not chosen:
        raise CheckpointError(
            f"hub {label}: holds no {need} there (expected {_MARKERS[need]}); name a revision or subfolder "
            "that does"
        )
    if need != "tokenizer" and not any(".safetensors" in name or ".bin" in name for name in chosen):
        pickled = len(_select(list(names), subfolder, need, True, False)) > len(chosen)
        raise CheckpointError(
            f"hub {label}: holds only pickled weights, which can run any code when opened; use a "
            "revision with safetensors, or load the stage with allow_pickle=True if you trust it"
            if pickled
            else f"hub {label}: holds no weights beside {_MARKERS[need]}; name another revision or subfolder"
        )
    try:
        root = snapshot_download(repo, revision=revision, allow_patterns=[escape(name) for name in chosen])
    except Exception as error:
        raise _offline(label, error) from error
    return Path(root, subfolder or "")


def download_bytes(repo: str, revision: str | None, subfolder: str | None, need: Need) -> int | None:
    """Bytes still to download for `hub_folder`; None when the hub cannot be asked."""
    from huggingface_hub import try_to_load_from_cache

    label = hub_label(repo, revision, subfolder)
    sizes = _listing(repo, revision, label, sizes=True)
    if sizes is None:
        return None
    missing = 0
    for name in _select(list(sizes), subfolder, need, allow_pickle=True, trust_remote_code=False):
        if not isinstance(try_to_load_from_cache(repo, name, revision=revision), str):
            missing += sizes[name] or 0
    return missing


def _listing(
    repo: str, revision: str | None, label: str, sizes: bool = False
) -> dict[str, int | None] | None:
    """File names of the repository, with sizes if asked for; None when the hub cannot be reached."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = HfApi().model_info(repo, revision=revision, files_metadata=sizes)
    except GatedRepoError:
        raise CheckpointError(
            f"hub {label}: access is restricted; accept its conditions on the hub, then `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise CheckpointError(
            f"hub {label}: no such repository, or a private one: check the name, or `hf auth login`"
        ) from None
    except RevisionNotFoundError:
        raise CheckpointError(
            f"hub {label}: no revision {revision!r} in {repo}; its branches and tags are on the hub page"
        ) from None
    except HFValidationError:
        raise CheckpointError(f"hub {repo!r}: not a repository id: expected org/name") from None
    except Exception:  # whichever HTTP library huggingface_hub uses: no answer, so the cache decides
        return None
    return {file.rfilename: file.size for file in info.siblings or []}


def _select(
    names: list[str], subfolder: str | None, need: Need, allow_pickle: bool, trust_remote_code: bool
) -> list[str]:
    """The files to fetch; empty when the repository does not hold what is needed in that folder."""
    folder = PurePosixPath(subfolder or ".")
    here = {PurePosixPath(name).name: name for name in names if PurePosixPath(name).parent == folder}
    templates = [name for name in names if PurePosixPath(name).parent == folder / "additional_chat_templates"]
    tokenizer = [here[name] for name in TOKENIZER_FILES if name in here] + templates
    if need == "tokenizer":
        return tokenizer
    if _MARKERS[need] not in here:
        return []
    prefixes = ("adapter_model",) if need == "adapter" else ("model", "pytorch_model")
    suffixes = (".safetensors", ".safetensors.index.json")
    weights = [name for name in here if name.startswith(prefixes) and name.endswith(suffixes)]
    if not weights and allow_pickle:
        weights = [
            name for name in here if name.startswith(prefixes) and name.endswith((".bin", ".bin.index.json"))
        ]
    code = [name for name in here if name.endswith(".py")] if trust_remote_code else []
    configs = [
        name for name in ("config.json", "generation_config.json", "adapter_config.json") if name in here
    ]
    return tokenizer + [here[name] for name in configs + weights + code]


def _cached_folder(repo: str, revision: str | None, subfolder: str | None, need: Need, label: str) -> Path:
    from huggingface_hub import try_to_load_from_cache

    markers = TOKENIZER_FILES if need == "tokenizer" else (_MARKERS[need],)
    for name in markers:
        inside = f"{subfolder}/{name}" if subfolder else name
        found = try_to_load_from_cache(repo, inside, revision=revision)
        if isinstance(found, str):
            return Path(found).parent
    raise _offline(label)


def _offline(label: str, cause: Any = None) -> OfflineError:
    switched = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    why = "HF_HUB_OFFLINE is set" if switched else "the hub cannot be reached"
    detail = f" ({type(cause).__name__})" if cause is not None else ""
    repo = label.partition("@")[0]
    return OfflineError(
        f"hub {label}: not in the local cache and {why}{detail}; connect, or run `hf download {repo}` where "
        "there is a connection and copy the hub cache here (HF_HOME)"
    )
