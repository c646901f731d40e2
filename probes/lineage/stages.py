"""`Lineage` and `Stage`: checkpoints and how they descend from each other, as people hold them in hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probes.errors import InputError
from probes.lineage.drawing import html_tree, tree
from probes.lineage.manifest import local_paths, read_manifest, resolve_path, write_manifest
from probes.lineage.records import AdapterCheckpoint, Checkpoint, Manifest, StageKind, StageRecord

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from probes.lineage.loaded import LoadedStage


class Stage:
    """One checkpoint of a lineage; nothing is read from disk until `load` or `fingerprint`."""

    name: str
    """The key of its table in the manifest."""
    kind: StageKind
    """pretrain, midtrain, sft, preference, rl or other."""
    parent: str | None
    """Name of the stage it was trained from (in a subset: its nearest ancestor that was kept)."""
    arm: str | None
    """The arm of the experiment; arms are compared with each other."""
    seed: int | None
    """The training seed."""
    checkpoint: Checkpoint
    """Where the weights come from."""
    tokenizer: str | None
    """`own`, `parent`, a path or hub id, or None: the checkpoint's own if it ships one, else its base's."""
    lineage: Lineage

    def __init__(self, name: str, record: StageRecord, lineage: Lineage, parent: str | None) -> None:
        self.name = name
        self.kind = record.kind
        self.parent = parent
        self.arm = record.arm
        self.seed = record.seed
        self.checkpoint = record.checkpoint
        self.tokenizer = record.tokenizer
        self.lineage = lineage

    def __repr__(self) -> str:
        return f"Stage({self.name!r}, kind={self.kind!r}, checkpoint={str(self.checkpoint)!r})"

    @property
    def family(self) -> str:
        """The name without its training seed: `aft` for `aft` and for `aft-s1`, trained with seed 1."""
        return self.name if self.seed is None else self.name.removesuffix(f"-s{self.seed}")

    def to_dict(self) -> dict[str, Any]:
        """What the manifest says of the stage, as plain values for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "parent": self.parent,
            "arm": self.arm,
            "seed": self.seed,
            "checkpoint": self.checkpoint.model_dump(exclude_none=True),
            "tokenizer": self.tokenizer,
        }

    def load(
        self,
        device: str = "auto",
        dtype: Any = "float32",
        attn_implementation: str | None = None,
        device_map: Any = None,
        *,
        allow_pickle: bool = False,
        trust_remote_code: bool = False,
    ) -> LoadedStage:
        """The stage's weights, adapter merged, with its tokenizer, in eval mode with no gradients.

        `device` "auto" is CUDA, else MPS, else the CPU; `device_map` is handed to transformers instead and
        splits a model over devices. `allow_pickle` reads `.bin` weights and `trust_remote_code` runs the
        repository's own code: both can execute anything, so neither happens unless asked for.
        Raises CheckpointError (damaged, unsafe or unfitting weights), TokenizerError, OfflineError,
        and InputError for a device or dtype that does not exist.
        """
        from probes.lineage.load import load_stage

        return load_stage(
            self,
            device=device,
            dtype=dtype,
            attn_implementation=attn_implementation,
            device_map=device_map,
            allow_pickle=allow_pickle,
            trust_remote_code=trust_remote_code,
        )

    def fingerprint(self) -> str:
        """64 hex digits identifying weights, config, adapters, tokenizer and chat template by content.

        Computed from the files, downloading them if need be, without loading the model. Moving or copying
        them changes nothing; retraining in place does. Raises as `load` does for files that are missing.
        """
        from probes.lineage.fingerprint import stage_fingerprint

        return stage_fingerprint(self)

    def to_transformer_lens(self, **options: Any) -> Any:
        """A TransformerLens `TransformerBridge` around a fresh load of this stage."""
        from probes.lineage.native import bridge

        loaded = self.load()
        return bridge(loaded.model, loaded.tokenizer, **options)

    def to_nnsight(self, **options: Any) -> Any:
        """An nnsight `TransformersModel` around a fresh load of this stage."""
        return self.load().to_nnsight(**options)


class Lineage:
    """Stages in topological order; `lineage["name"]`, `len`, `in` and iteration over the stages.

    A subset keeps its `origin`: adapters still find the weights they go onto, and the reference tokenizer
    is the whole lineage's, so that token ids do not depend on which stages were selected.
    """

    def __init__(
        self, manifest: Manifest, path: Path, keep: Iterable[str] | None = None, origin: Lineage | None = None
    ) -> None:
        self.manifest = manifest
        self.path = path
        self.name = manifest.lineage.name
        self.description = manifest.lineage.description
        self.origin = origin or self
        kept = set(manifest.stages if keep is None else keep)
        self.stages: dict[str, Stage] = {
            name: Stage(name, record, self, self._kept_parent(record, kept))
            for name, record in manifest.stages.items()
            if name in kept
        }

    def _kept_parent(self, record: StageRecord, kept: set[str]) -> str | None:
        parent = record.parent
        while parent is not None and parent not in kept:
            parent = self.manifest.stages[parent].parent
        return parent

    def __getitem__(self, name: str) -> Stage:
        try:
            return self.stages[name]
        except KeyError:
            raise InputError(
                f"no stage {name!r} in lineage {self.name}: it has {', '.join(self.stages)}"
            ) from None

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages.values())

    def __len__(self) -> int:
        return len(self.stages)

    def __contains__(self, name: object) -> bool:
        return name in self.stages

    def __repr__(self) -> str:
        return f"Lineage({self.name!r}, stages={list(self.stages)})"

    def __str__(self) -> str:
        return tree(self)

    def _repr_html_(self) -> str:
        return html_tree(self)

    @property
    def root(self) -> Stage:
        """The first stage without a parent."""
        return next(stage for stage in self if stage.parent is None)

    def ancestors(self, name: str) -> list[Stage]:
        """From the root to the parent of `name`."""
        return self.path_to(name)[:-1]

    def path_to(self, name: str) -> list[Stage]:
        """From the root to `name`, both included."""
        path = [self[name]]
        while (parent := path[0].parent) is not None:
            path.insert(0, self[parent])
        return path

    def children(self, name: str) -> list[Stage]:
        """Stages trained directly from `name`."""
        self[name]
        return [stage for stage in self if stage.parent == name]

    def subset(self, names: Iterable[str]) -> Lineage:
        """The lineage with these stages only. Raises InputError for an unknown name or for no name at all."""
        names = [names] if isinstance(names, str) else list(names)
        if not names:
            raise InputError(f"no stages selected: lineage {self.name} has {', '.join(self.stages)}")
        return Lineage(self.manifest, self.path, keep=[self[name].name for name in names], origin=self.origin)

    def reference_tokenizer(self) -> PreTrainedTokenizerBase:
        """The root's tokenizer with the first chat template found along the stages, a new object each time.

        One rendering for every stage (`render="shared"`); its `chat_template` is None when no stage has one.
        """
        from probes.lineage.tokenizers import reference_tokenizer

        return reference_tokenizer(self.origin)

    def save(self, path: str | Path) -> Path:
        """Write a `lineage.toml` to `path` (a file or a folder) and return the file.

        Relative paths are rewritten to mean the same files from there, absolute where they would leave the
        folder. A subset is written with the ancestors and adapter bases that it needs. Raises OutputError.
        """
        needed: set[str] = set()
        queue = list(self.stages)
        while queue:
            name = queue.pop()
            record = self.manifest.stages[name]
            onto = record.checkpoint.onto if isinstance(record.checkpoint, AdapterCheckpoint) else None
            needed.add(name)
            queue += [other for other in (record.parent, onto) if other is not None and other not in needed]
        target = Path(path)
        folder = (target.parent if target.suffix == ".toml" else target).absolute()
        stages = {
            name: self._moved(record, folder)
            for name, record in self.manifest.stages.items()
            if name in needed
        }
        return write_manifest(self.manifest.model_copy(update={"stages": stages}), path)

    def _moved(self, record: StageRecord, folder: Path) -> StageRecord:
        for key, value in local_paths(record).items():
            source = resolve_path(value, self.path.parent)
            if not source.exists():
                continue
            text = str(source.relative_to(folder)) if source.is_relative_to(folder) else str(source)
            if key == "tokenizer":
                record = record.model_copy(update={"tokenizer": text})
            else:
                moved = record.checkpoint.model_copy(update={key.removeprefix("checkpoint."): text})
                record = record.model_copy(update={"checkpoint": moved})
        return record


def load_lineage(path: str | Path) -> Lineage:
    """Read a `lineage.toml`, or the folder that holds one. No weights are touched.

    Raises ManifestError naming the file, the key, its value and what was expected.
    """
    file, manifest = read_manifest(path)
    return Lineage(manifest, file)
