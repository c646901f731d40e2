"""A small hub on 127.0.0.1 that speaks huggingface.co's protocol, so that the real clients can be tested.

It answers as the hub does: model info with and without sizes, trees, `resolve` by HEAD and GET with ETag and
X-Repo-Commit, a redirect of large files to a second host (the CDN) with X-Linked-Etag and X-Linked-Size, byte
ranges, X-Error-Code for what does not exist, and gated repositories whose listing is public and whose files
are not. It does not know Xet, datasets and uploads.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import huggingface_hub
import pytest
from huggingface_hub import constants

TOKEN = "hf_localtest"
"""The one access token that opens gated and private repositories."""
LARGE = (".safetensors", ".bin")
"""Endings of the files that the hub keeps in LFS and serves from its CDN."""


@dataclass
class Repository:
    """One model repository: branch name -> commit, commit -> path -> content."""

    gated: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def find(self, revision: str) -> str | None:
        """The commit that a branch, or a commit hash itself, means."""
        return self.branches.get(revision) or (revision if revision in self.commits else None)


@dataclass(frozen=True)
class Request:
    """One line of the server's log."""

    method: str
    path: str
    range: str | None


class Hub:
    """A context manager: `with Hub() as hub:` serves `hub.url` until the block ends.

    `log` holds every request. `cut[name] = (size, times)` closes the connection after `size` bytes of a file,
    that many times; `failing` is a status that every request is answered with while it is set.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.log: list[Request] = []
        self.cut: dict[str, tuple[int, int]] = {}
        self.failing: int | None = None
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(self)) for _ in range(2)]

    def commit(
        self, repo: str, source: Path | dict[str, bytes], revision: str = "main", *, gated: bool = False
    ) -> str:
        """Make `revision` a commit of these files and no others; returns its hash (40 hex digits)."""
        if isinstance(source, Path):
            files = {
                file.relative_to(source).as_posix(): file.read_bytes()
                for file in sorted(source.rglob("*"))
                if file.is_file()
            }
        else:
            files = dict(source)
        repository = self.repositories.setdefault(repo, Repository(gated))
        digest = hashlib.sha1(f"{repo}@{revision}#{len(repository.commits)}".encode())
        for name, content in sorted(files.items()):
            digest.update(name.encode() + content)
        commit = digest.hexdigest()
        repository.commits[commit] = files
        repository.branches[revision] = commit
        return commit

    @property
    def url(self) -> str:
        """What HF_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def cdn(self) -> str:
        """The other host, where large files lie."""
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    def fetched(self, ending: str = "") -> list[str]:
        """Names of the files whose content was sent since the log was last cleared."""
        names = [r.path.rsplit("/", 1)[-1] for r in self.log if r.method == "GET" and "/api/" not in r.path]
        return sorted(name for name in names if name.endswith(ending))

    def __enter__(self) -> Hub:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


@contextmanager
def serving(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make this process's hub client ask `hub`, with its cache in `folder` and nobody logged in.

    huggingface_hub reads its settings from the environment when it is imported, hence its constants.
    """
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    settings = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(folder / "hub"),
        "HF_TOKEN_PATH": str(folder / "token"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_PROGRESS_BARS": True,
    }
    for name, value in settings.items():
        monkeypatch.setattr(constants, name, value)
    another_process(monkeypatch)
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget which folders `hub_folder` has answered, as a new process does."""
    monkeypatch.setattr("probes.lineage.hub._folders", {})


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
            hub.log.append(Request(self.command, "/" + "/".join(parts), self.headers.get("Range")))
            if hub.failing is not None:
                self._refuse(hub.failing, None, "the hub is unwell")
            elif parts[0] == "cdn":
                self._content(_by_digest(hub, parts[1]), parts[-1])
            elif parts[:2] == ["api", "models"] and len(parts) >= 4:
                self._api("/".join(parts[2:4]), parts[4:])
            elif len(parts) >= 5 and parts[2] == "resolve":
                self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
            else:
                self._refuse(404, None, "Not Found")

        def _api(self, repo: str, rest: list[str]) -> None:
            what = rest[0] if rest else "revision"
            place = self._find(repo, rest[1] if len(rest) > 1 else "main")
            if place is None:
                return
            repository, commit = place
            files = repository.commits[commit]
            if what == "tree":
                self._json([_tree_entry(name, content) for name, content in files.items()])
            elif what == "revision":
                sizes = "blobs=" in urlsplit(self.path).query
                siblings = [
                    {"rfilename": name} | (_blob(name, content) if sizes else {})
                    for name, content in files.items()
                ]
                gated = "manual" if repository.gated else False
                self._json(
                    {"id": repo, "sha": commit, "private": False, "gated": gated, "siblings": siblings}
                )
            else:
                self._refuse(404, None, "Not Found")

        def _resolve(self, repo: str, revision: str, name: str) -> None:
            place = self._find(repo, revision)
            if place is None:
                return
            repository, commit = place
            headers = {"X-Repo-Commit": commit}
            if repository.gated and not self._has_token():
                message = f"Access to model {repo} is restricted. You must have access to it."
                self._refuse(401, "GatedRepo", message, headers)
            elif name not in repository.commits[commit]:
                self._refuse(404, "EntryNotFound", "Entry not found", headers)
            elif name.endswith(LARGE):
                content = repository.commits[commit][name]
                digest = hashlib.sha256(content).hexdigest()
                linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
                self._send(302, b"", {"Location": f"{hub.cdn}/cdn/{digest}/{name}"} | headers | linked)
            else:
                self._content(repository.commits[commit][name], name, headers)

        def _find(self, repo: str, revision: str) -> tuple[Repository, str] | None:
            """The repository and commit, or None after having answered that there is none."""
            repository = hub.repositories.get(repo)
            if repository is None:
                self._refuse(404 if self._has_token() else 401, "RepoNotFound", "Repository not found")
                return None
            commit = repository.find(revision)
            if commit is None:
                self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
                return None
            return repository, commit

        def _has_token(self) -> bool:
            return self.headers.get("Authorization") == f"Bearer {TOKEN}"

        def _content(self, content: bytes, name: str, headers: dict[str, str] | None = None) -> None:
            headers = {"ETag": f'"{_git_oid(content)}"', "Accept-Ranges": "bytes"} | (headers or {})
            status, start = 200, 0
            if wanted := self.headers.get("Range"):
                start = int(wanted.removeprefix("bytes=").split("-")[0])
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                status = 206
            size, times = hub.cut.get(name, (0, 0))
            if self.command == "GET" and times > 0:
                hub.cut[name] = (size, times - 1)
                self._send(status, content[start:], headers, stop=size)
                self.close_connection = True
            else:
                self._send(status, content[start:], headers)

        def _json(self, value: Any) -> None:
            self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def _refuse(
            self, status: int, code: str | None, message: str, headers: dict[str, str] | None = None
        ) -> None:
            reason = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
            self._send(status, json.dumps({"error": message}).encode(), reason | (headers or {}))

        def _send(self, status: int, body: bytes, headers: dict[str, str], stop: int | None = None) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[:stop])

    return Handler


def _tree_entry(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": _git_oid(content)}
    if name.endswith(LARGE):
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
    return entry


def _blob(name: str, content: bytes) -> dict[str, Any]:
    """What the listing of a repository says of a file when sizes are asked for."""
    blob: dict[str, Any] = {"size": len(content), "blobId": _git_oid(content)}
    if name.endswith(LARGE):
        digest = hashlib.sha256(content).hexdigest()
        blob["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
    return blob


def _git_oid(content: bytes) -> str:
    """The name git gives the content, which is the hub's ETag for small files."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _by_digest(hub: Hub, digest: str) -> bytes:
    return next(
        content
        for repository in hub.repositories.values()
        for files in repository.commits.values()
        for content in files.values()
        if hashlib.sha256(content).hexdigest() == digest
    )
