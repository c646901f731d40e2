"""The files that a stage needs of a repository on the Hugging Face hub, at one revision.

huggingface_hub does the downloading and knows the credentials. Without a connection its cache is used.
"""

from __future__ import annotations

import json
import os
import re
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from probes.errors import CheckpointError, OfflineError, OutputError
from probes.lineage.records import hub_label
from probes.lineage.safety import weight_files

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
_CONFIGS = ("config.json", "generation_config.json", "adapter_config.json")
_MARKERS = {"weights": "config.json", "adapter": "adapter_config.json", "tokenizer": "tokenizer_config.json"}
_STEMS = {"weights": "model", "adapter": "adapter_model"}
_WEIGHTS = re.compile(r"\.(safetensors|bin)$")
_PICKLES = {"weights": re.compile(r"pytorch_model.*\.bin"), "adapter": re.compile(r"adapter_model.*\.bin")}


class HubPart(NamedTuple):
    """What a stage takes from one repository: weights, an adapter or a tokenizer."""

    repo: str
    revision: str | None
    subfolder: str | None
    need: Need

    def __str__(self) -> str:
        return hub_label(self.repo, self.revision, self.subfolder)

    @property
    def command(self) -> str:
        """The shell command that downloads the part into the hub's cache."""
        revision = f" --revision {self.revision}" if self.revision else ""
        subfolder = f" --include '{self.subfolder}/*'" if self.subfolder else ""
        return f"hf download {self.repo}{revision}{subfolder}"


class _Listed(NamedTuple):
    """What the hub says of a file; None where it says nothing."""

    size: int | None
    sha256: str | None


class _NoAnswer(Exception):
    """The hub could not be asked. The message says why; it ends the phrase "not in the local cache and"."""


_folders: dict[tuple[HubPart, bool, bool], Path] = {}
"""What `hub_folder` has answered in this process."""


def hub_folder(
    repo: str,
    revision: str | None,
    subfolder: str | None,
    need: Need,
    *,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> Path:
    """The local folder with a part of a repository, downloaded into the hub's cache if it is not there yet.

    The answer is remembered in this process, so that a branch that moves on the hub does not change a stage
    half-way through a run.

    Parameters
    ----------
    repo, revision, subfolder : where on the hub; None is the default branch and the top folder.
    need : what is taken. If the repository ships no tokenizer, "tokenizer" gives a folder that holds only its
        config.
    allow_pickle : also accept pickled weights, which can run any code when they are opened.
    trust_remote_code : also download the repository's Python files.

    Raises
    ------
    CheckpointError
        The repository, revision or subfolder does not exist, may not be read, or lacks what is needed.
    OfflineError
        The hub cannot be reached and the cache does not hold the files.
    OutputError
        The cache cannot be written.
    """
    key = (HubPart(repo, revision, subfolder, need), allow_pickle, trust_remote_code)
    if key not in _folders or not _folders[key].is_dir():
        _folders[key] = _fetch(*key)
    return _folders[key]


def download_bytes(part: HubPart, *, allow_pickle: bool = False) -> int | None:
    """How many bytes `hub_folder` would download; None when the hub cannot be asked. Nothing is downloaded.

    Raises CheckpointError as `hub_folder` does, also for a repository whose files this user may not read.
    """
    from huggingface_hub import try_to_load_from_cache

    try:
        sizes = _listing(part, sizes=True)
        chosen = _choose(list(sizes), part, allow_pickle)
        commit = _readable_commit(part, chosen[0])
    except _NoAnswer:
        return None
    missing = [
        name
        for name in chosen
        if not isinstance(try_to_load_from_cache(part.repo, name, revision=commit), str)
    ]
    return sum(sizes[name].size or 0 for name in missing)


def file_hashes(part: HubPart) -> list[str] | None:
    """SHA-256 of each file with weights of the part, from the hub's listing; None when it does not tell them.

    Raises CheckpointError as `hub_folder` does.
    """
    try:
        listing = _listing(part, sizes=True)
    except _NoAnswer:
        return None
    chosen = [name for name in _choose(list(listing), part, allow_pickle=True) if _WEIGHTS.search(name)]
    hashes = [listing[name].sha256 for name in chosen]
    return [text for text in hashes if text] if chosen and all(hashes) else None


def _fetch(part: HubPart, allow_pickle: bool, trust_remote_code: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        names = list(_listing(part))
    except _NoAnswer as reason:
        return _cached_folder(part, str(reason))
    chosen = _choose(names, part, allow_pickle, trust_remote_code)
    patterns = [escape(name) for name in chosen]
    try:
        root = snapshot_download(part.repo, revision=part.revision, allow_patterns=patterns)
    except RepositoryNotFoundError as error:
        raise _refusal(part, error) from None
    except OSError as error:
        if error.errno is not None:
            raise _unwritable(part, error) from error
        raise _broken_off(part, error) from error
    except Exception as error:  # whichever HTTP library huggingface_hub uses
        raise _broken_off(part, error) from error
    return Path(root, part.subfolder or "")


def _listing(part: HubPart, sizes: bool = False) -> dict[str, _Listed]:
    """The repository's files by name, with what the hub says of them if `sizes`. Raises _NoAnswer,
    CheckpointError."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = HfApi().model_info(
            part.repo,
            revision=part.revision,
            files_metadata=sizes,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise _refusal(part, error) from None
    except HFValidationError:
        raise CheckpointError(f"hub {part.repo!r}: not a repository id: expected org/name") from None
    except (
        Exception
    ) as error:  # whichever HTTP library huggingface_hub uses: there is no answer, so the cache decides
        raise _NoAnswer(_reason(error)) from error
    return {
        file.rfilename: _Listed(file.size, file.lfs.sha256 if file.lfs else None)
        for file in info.siblings or []
    }


def _readable_commit(part: HubPart, name: str) -> str | None:
    """The commit that the revision names now, from the headers of one file.

    The listing of a gated repository is public. Whether this user may read its files shows only when one of
    them is asked for.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return get_hf_file_metadata(hf_hub_url(part.repo, name, revision=part.revision)).commit_hash
    except RepositoryNotFoundError as error:
        raise _refusal(part, error) from None
    except Exception as error:  # as in _listing
        raise _NoAnswer(_reason(error)) from error


def _choose(
    names: list[str], part: HubPart, allow_pickle: bool = False, trust_remote_code: bool = False
) -> list[str]:
    """The files to download, a small one first. Raises CheckpointError if `names` lacks what is needed."""
    folder = PurePosixPath(part.subfolder or ".")
    here = {PurePosixPath(name).name: name for name in names if PurePosixPath(name).parent == folder}
    templates = [name for name in names if PurePosixPath(name).parent == folder / "additional_chat_templates"]
    tokenizer = [here[name] for name in TOKENIZER_FILES if name in here] + templates
    configs = [here[name] for name in _CONFIGS if name in here]
    if part.need == "tokenizer" and (tokenizer or configs):
        return tokenizer or configs
    if _MARKERS[part.need] not in here:
        raise CheckpointError(
            f"hub {part}: holds no {part.need} there (expected {_MARKERS[part.need]}); name a revision or "
            "subfolder that does"
        )
    weights = _safetensors(here, _STEMS[part.need])
    if not weights:
        weights = [name for name in here if re.fullmatch(_PICKLES[part.need], name)]
        if weights and not allow_pickle:
            raise CheckpointError(
                f"hub {part}: holds only pickled weights ({weights[0]}), which can run any code when opened; "
                "use a revision with safetensors, or load the stage with allow_pickle=True if you trust it"
            )
        weights += [name for name in here if name.endswith(".bin.index.json")] if weights else []
    if not weights:
        raise CheckpointError(
            f"hub {part}: holds no weights beside {_MARKERS[part.need]}; name another revision or subfolder"
        )
    code = [here[name] for name in here if name.endswith(".py")] if trust_remote_code else []
    return configs + tokenizer + code + [here[name] for name in weights]


def _safetensors(here: dict[str, str], stem: str) -> list[str]:
    """The files that transformers and PEFT would read: a single one, or else an index and its shards."""
    if f"{stem}.safetensors" in here:
        return [f"{stem}.safetensors"]
    shard = re.compile(rf"{stem}-\d+-of-\d+\.safetensors")
    shards = [name for name in here if shard.fullmatch(name)]
    index = f"{stem}.safetensors.index.json"
    return [index, *shards] if index in here and shards else []


def _cached_folder(part: HubPart, why: str) -> Path:
    """The folder in the hub's cache. Raises OfflineError if it, or some of its files, are missing."""
    from huggingface_hub import try_to_load_from_cache

    markers = (*TOKENIZER_FILES, *_CONFIGS) if part.need == "tokenizer" else (_MARKERS[part.need],)
    for name in markers:
        inside = f"{part.subfolder}/{name}" if part.subfolder else name
        file = try_to_load_from_cache(part.repo, inside, revision=part.revision)
        if isinstance(file, str):
            folder = Path(file).parent
            if part.need != "tokenizer" and not _whole(folder, _STEMS[part.need]):
                raise _offline(part, f"only partly in the local cache and {why}")
            return folder
    raise _offline(part, f"not in the local cache and {why}")


def _whole(folder: Path, stem: str) -> bool:
    """Whether a snapshot holds weights, and every shard that its index names, if the index can be read."""
    files = weight_files(folder, stem)
    if not files or files[0].suffix != ".json":
        return bool(files)
    try:
        shards = json.loads(files[0].read_text(encoding="utf-8"))["weight_map"].values()
    except (ValueError, KeyError, TypeError, AttributeError):
        return True
    return all((folder / name).is_file() for name in shards)


def _refusal(part: HubPart, error: Exception) -> CheckpointError:
    """The error for a request that the hub refused."""
    from huggingface_hub.errors import GatedRepoError, RevisionNotFoundError

    if isinstance(error, RevisionNotFoundError):
        reason = f"no revision {part.revision!r} in {part.repo}; its branches and tags are on the hub page"
    elif isinstance(error, GatedRepoError):
        reason = "access is restricted; accept its conditions on the hub, then `hf auth login`"
    else:
        reason = "no such repository, or a private one: check the name, or `hf auth login`"
    return CheckpointError(f"hub {part}: {reason}")


def _reason(error: Exception) -> str:
    """Why the hub could not be asked, in a few words."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        switches = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
        return f"{next((name for name in switches if os.environ.get(name)), switches[0])} is set"
    if isinstance(error, HfHubHTTPError):
        return f"the hub answered {error.response.status_code}"
    return f"the hub cannot be reached ({type(error).__name__})"


def _offline(part: HubPart, state: str) -> OfflineError:
    return OfflineError(
        f"hub {part}: {state}; connect, or run `{part.command}` where there is a connection and copy the hub "
        "cache here (HF_HOME)"
    )


def _broken_off(part: HubPart, error: Any) -> OfflineError:
    message = str(error).strip().splitlines() or [""]
    return OfflineError(
        f"hub {part}: the download broke off ({type(error).__name__}: {message[0]}); try again: files that "
        "are complete are kept"
    )


def _unwritable(part: HubPart, error: OSError) -> OutputError:
    from huggingface_hub import constants

    return OutputError(
        f"hub {part}: the hub cache {constants.HF_HUB_CACHE} cannot be written: {error.strerror}; free some "
        "space, or set HF_HOME to a folder you own"
    )
