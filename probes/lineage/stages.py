"""`Lineage` and `Stage`: checkpoints and how they descend from each other, as people hold them in hand.

The work on files and models is done in the modules that this one imports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from probes.errors import InputError
from probes.lineage.drawing import draw_tree
from probes.lineage.entries import Entry
from probes.lineage.equality import weights_digest
from probes.lineage.fingerprint import files_fingerprint
from probes.lineage.loaded import LoadedStage
from probes.lineage.loading import LoadOptions, load_files
from probes.lineage.manifest import read_manifest, relocated, selected, write_manifest
from probes.lineage.native import LensOptions, NNsightOptions, bridge
from probes.lineage.records import Checkpoint, Manifest, StageKind
from probes.lineage.tokenizers import reference_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


class Stage:
    """One checkpoint of a lineage. Nothing is read from disk before `load` or `fingerprint` is called.

    Example
    -------
    >>> lineage["mid"]
    Stage('mid', kind='midtrain', checkpoint='mid onto base')
    """

    name: str
    """The key of its table in the manifest."""
    kind: StageKind
    """pretrain, midtrain, sft, preference, rl or other."""
    parent: str | None
    """The name of the stage it was trained from (in a subset: of its nearest ancestor that was kept)."""
    arm: str | None
    """The training arm of the experiment; arms are compared with each other."""
    seed: int | None
    """The training seed."""
    checkpoint: Checkpoint
    """Where the weights come from."""
    tokenizer: str | None
    """`own`, `parent`, a path or hub id, or None: the checkpoint's own if it ships one, else its base's."""
    lineage: Lineage
    entry: Entry
    """The stage as the whole manifest describes it, for the functions that handle files."""

    def __init__(self, entry: Entry, lineage: Lineage, parent: str | None) -> None:
        self.name = entry.name
        self.kind = entry.record.kind
        self.parent = parent
        self.arm = entry.record.arm
        self.seed = entry.record.seed
        self.checkpoint = entry.checkpoint
        self.tokenizer = entry.record.tokenizer
        self.lineage = lineage
        self.entry = entry

    def __repr__(self) -> str:
        return f"Stage({self.name!r}, kind={self.kind!r}, checkpoint={str(self.checkpoint)!r})"

    @property
    def family(self) -> str:
        """The name without its training seed: `aft` for `aft` and also for `aft-s1`, trained with seed 1."""
        return self.name if self.seed is None else self.name.removesuffix(f"-s{self.seed}")

    def to_dict(self) -> dict[str, Any]:
        """What the manifest says of the stage, as plain values for JSON.

        Example
        -------
        >>> stage.to_dict()["checkpoint"]
        {'adapter': 'mid', 'onto': 'base'}
        """
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
        dtype: str | torch.dtype = "float32",
        attn_implementation: str | None = None,
        device_map: Any = None,
        *,
        allow_pickle: bool = False,
        trust_remote_code: bool = False,
    ) -> LoadedStage:
        """Load the weights, with adapters merged, and the tokenizer.

        Parameters
        ----------
        device : "auto" is CUDA, else MPS, else the CPU.
        dtype : "float32", "bfloat16", "float16", "float64", or a torch dtype.
        attn_implementation : as in transformers; None is transformers' own choice.
        device_map : handed to transformers, in place of `device`, to split a model over several devices.
        allow_pickle : read `.bin` weights. They can run any code, so this has to be asked for.
        trust_remote_code : run the repository's own Python code. It can do anything, so this has to be asked
            for too.

        Returns
        -------
        The model in evaluation mode, with gradients switched off, and its tokenizer.

        Raises
        ------
        CheckpointError
            The weights are damaged or unsafe, or the adapter does not fit them.
        TokenizerError
            There is no tokenizer, or it belongs to another model.
        OfflineError
            A download is needed and there is no connection.
        InputError
            The device or dtype does not exist.

        Example
        -------
        >>> stage.load(device="cpu").model.config.num_hidden_layers
        3
        """
        options = LoadOptions(
            device=device,
            dtype=dtype,
            attn_implementation=attn_implementation,
            device_map=device_map,
            allow_pickle=allow_pickle,
            trust_remote_code=trust_remote_code,
        )
        files = load_files(self.entry, **options)
        return LoadedStage(self.name, *files[:3], self, *files[3:], options)

    def fingerprint(self) -> str:
        """The stage's identity by content: its weights, config, adapters, tokenizer and chat template.

        It is computed from the files without loading the model, and downloads them if need be. Moving or
        copying the files does not change it; training in place does. Raises as `load` does for missing files.

        Returns
        -------
        64 hex digits.

        Example
        -------
        >>> lineage["copy"].fingerprint() == lineage["mid"].fingerprint() != lineage["base"].fingerprint()
        True
        """
        return files_fingerprint(self.entry)

    def weights_digest(self) -> str:
        """The identity of the stage's tensors alone, 64 hex digits, whatever their files, shards and dtype.

        Example
        -------
        >>> lineage["copy"].weights_digest() == lineage["mid"].weights_digest()
        True
        """
        return weights_digest(self.entry)

    def to_transformer_lens(self, **options: Unpack[LensOptions]) -> Any:
        """A TransformerLens `TransformerBridge` around the stage, loaded anew; see `LoadedStage`'s."""
        loaded = self.load()
        return bridge(loaded.model, loaded.tokenizer, **options)

    def to_nnsight(self, **options: Unpack[NNsightOptions]) -> Any:
        """An nnsight `TransformersModel` around the stage, loaded anew; see `LoadedStage`'s."""
        return self.load().to_nnsight(**options)


class Lineage:
    """Checkpoints and how they descend from each other: `lineage["name"]` is a `Stage`.

    `len`, `in` and iteration go over the stages, a parent before its children. `origin` is the whole lineage
    that a subset was taken from.

    Example
    -------
    >>> lineage
    Lineage('tiny', stages=['base', 'mid', 'copy', 'control'])
    >>> print(lineage)
    tiny: three blocks and random weights
    base        pretrain                       base
    ├─ mid      midtrain  arm treated  seed 0  mid onto base
    │  └─ copy  sft       arm treated  seed 0  mid onto base
    └─ control  sft       arm control  seed 1  control onto base
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
            name: Stage(Entry(name, manifest, path), self, self._kept_parent(name, kept))
            for name in manifest.stages
            if name in kept
        }

    def _kept_parent(self, name: str, kept: set[str]) -> str | None:
        parent = self.manifest.stages[name].parent
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
        cells = {}
        for stage in self:
            arm = f"arm {stage.arm}" if stage.arm else ""
            seed = f"seed {stage.seed}" if stage.seed is not None else ""
            cells[stage.name] = (stage.kind, arm, seed, str(stage.checkpoint))
        title = f"{self.name}: {self.description}" if self.description else self.name
        return draw_tree(title, {stage.name: stage.parent for stage in self}, cells)

    def _repr_html_(self) -> str:
        return f'<pre style="line-height:1.3">{escape(str(self))}</pre>'

    @property
    def root(self) -> Stage:
        """The first stage without a parent."""
        return next(stage for stage in self if stage.parent is None)

    def ancestors(self, name: str) -> list[Stage]:
        """The stages from the root to the parent of `name`."""
        return self.path_to(name)[:-1]

    def path_to(self, name: str) -> list[Stage]:
        """The stages from the root to `name`, both included.

        Example
        -------
        >>> [stage.name for stage in lineage.path_to("copy")]
        ['base', 'mid', 'copy']
        """
        path = [self[name]]
        while (parent := path[0].parent) is not None:
            path.insert(0, self[parent])
        return path

    def children(self, name: str) -> list[Stage]:
        """The stages that were trained directly from `name`."""
        self[name]
        return [stage for stage in self if stage.parent == name]

    def subset(self, names: Iterable[str]) -> Lineage:
        """The lineage with some of its stages only.

        A stage's parent becomes its nearest ancestor that was kept. Adapters still find the weights they go
        onto, and the reference tokenizer stays the whole lineage's, so that token ids do not depend on which
        stages were selected. Raises InputError for an unknown name or for no name at all.

        Example
        -------
        >>> lineage.subset(["base", "copy"])["copy"].parent
        'base'
        """
        names = [names] if isinstance(names, str) else list(names)
        if not names:
            raise InputError(f"no stages selected: lineage {self.name} has {', '.join(self.stages)}")
        return Lineage(self.manifest, self.path, keep=[self[name].name for name in names], origin=self.origin)

    @property
    def reference_stage(self) -> str:
        """The name of the stage whose tokenizer is the reference: the first of the whole lineage."""
        return next(iter(self.manifest.stages))

    def reference_tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that renders texts for every stage (`render="shared"`), a new object each time.

        It is the root's, with the first chat template found along the stages; `chat_template` is None when no
        stage has one.
        """
        return reference_tokenizer(self.manifest, self.path)

    def save(self, path: str | Path) -> Path:
        """Write a `lineage.toml`.

        A subset is written together with the ancestors and adapter bases that it needs. Paths are rewritten
        so that they mean the same files from the new place: relative inside its folder, absolute elsewhere.

        Parameters
        ----------
        path : a file, or a folder.

        Returns
        -------
        The file that was written.

        Raises
        ------
        OutputError
            The file cannot be written.

        Example
        -------
        >>> file = lineage.subset(["base"]).save(folder)
        >>> probes.load_lineage(file)
        Lineage('tiny', stages=['base'])
        """
        target = Path(path)
        folder = (target.parent if target.suffix == ".toml" else target).absolute()
        return write_manifest(relocated(selected(self.manifest, self.stages), self.path.parent, folder), path)


def load_lineage(path: str | Path) -> Lineage:
    """Read a lineage from its manifest. No weights are touched.

    Parameters
    ----------
    path : a `lineage.toml`, or the folder that holds one.

    Raises
    ------
    ManifestError
        The manifest cannot be used; the message names the file, the key, its value and what was expected.

    Example
    -------
    >>> probes.load_lineage(lineage.path)
    Lineage('tiny', stages=['base', 'mid', 'copy', 'control'])
    """
    file, manifest = read_manifest(path)
    return Lineage(manifest, file)


def as_loaded(stage: Stage | LoadedStage, **load_options: Unpack[LoadOptions]) -> LoadedStage:
    """A stage in memory: a loaded stage as it is, or a stage loaded with `load_options`.

    Raises InputError for anything else.

    Example
    -------
    >>> from probes.lineage import as_loaded
    >>> loaded = as_loaded(stage, device="cpu")
    >>> as_loaded(loaded) is loaded
    True
    """
    if isinstance(stage, LoadedStage):
        return stage
    if isinstance(stage, Stage):
        return stage.load(**load_options)
    raise InputError(
        f"expected a stage (lineage['name']) or a loaded stage, got {type(stage).__name__}; "
        "wrap a model with probes.LoadedStage.from_model(model, tokenizer)"
    )


def tree(lineage: Lineage) -> str:
    """A lineage drawn as a tree, one line a stage: branches, name, kind, arm, seed, origin of the weights.

    Example
    -------
    >>> from probes.lineage import tree
    >>> print(tree(lineage.subset(["base", "mid"])))
    tiny: three blocks and random weights
    base    pretrain                       base
    └─ mid  midtrain  arm treated  seed 0  mid onto base
    """
    return str(lineage)
