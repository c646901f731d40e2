"""`Activations`: what extraction returns, an array with the labels and pairs that its rows belong to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int, Shaped
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from probes.errors import InputError
from probes.tables.digests import json_digest
from probes.tables.writing import written_atomically


@dataclass(frozen=True)
class Activations:
    """The activations of one concept at one kind of site of one stage.

    The rows are in the order of the concept's examples. With `position="all"` a row is a token and not an
    example; labels, groups, splits, templates and texts are then repeated for each token of an example.

    Example
    -------
    >>> acts = probes.extract(stage, concept, position="mean", controls=(), progress=False)
    >>> acts
    Activations('mid', 'prices', resid_post@mean: 3 layers x 48 rows x 32, 24 pairs)
    >>> acts.values.shape, acts.labels[:2].tolist(), acts.groups[:2].tolist()
    ((3, 48, 32), [1, 0], ['p0', 'p0'])
    """

    values: Float32[np.ndarray, "layer example width"]
    """`[layer, example, width]` float32; the width is d_model, or n_heads * d_head at the site `z`."""
    site: str
    """The kind of site, one of `probes.models.KINDS`, such as `resid_post`."""
    layers: list[int]
    """The index of the block, for each row of the first axis of `values`; `[0]` for `embed`."""
    position: str
    """Where in the text they were read, as `probes.activations.POSITIONS` says."""
    labels: Int[np.ndarray, " example"]
    """`[example]` int, 0 or 1."""
    groups: Shaped[np.ndarray, " example"]
    """`[example]` str: the pair that an example belongs to, which is the unit of every split and interval."""
    splits: Shaped[np.ndarray, " example"]
    """`[example]` object: "train", "select", "test", or None where the concept does not mark splits."""
    templates: Shaped[np.ndarray, " example"]
    """`[example]` object: the template that an example was written from, or None."""
    texts: list[str]
    """`[example]`: the text of each example as the model read it, after the chat template."""
    stage: str
    """The name of the stage."""
    lineage: str | None
    """The name of the lineage, or None for a model given by hand."""
    concept: str
    """The name of the concept."""
    render: str
    """"shared" where texts were rendered with the lineage's one tokenizer and chat template, "own" where they
    were rendered with the stage's own."""
    digest: str
    """A hash of the weights, tokenizer, template, token ids, site, position, dtype, attention implementation
    and library versions."""
    controls: dict[str, Float32[np.ndarray, "*layer example features"]] = field(default_factory=dict)
    """The inputs of surface baselines: `embedding` `[example, d_model]` is the mean input embedding of each
    text, and `random_init` `[layer, example, width]` the activations of the same architecture with random
    weights."""
    head: int | None = None
    """The attention head whose values these are (see `of_head`); None for all of them."""

    @property
    def n_pairs(self) -> int:
        """The number of pairs."""
        return len(np.unique(self.groups))

    @property
    def columns(self) -> dict[str, str | None]:
        """The columns of result tables that say what was measured here."""
        return {
            "lineage": self.lineage,
            "stage": self.stage,
            "concept": self.concept,
            "site": self.site if self.head is None else f"{self.site} head {self.head}",
            "position": self.position,
            "render": self.render,
            "digest": self.digest,
        }

    def of_head(self, head: int, n_heads: int) -> Activations:
        """The values of one attention head at the site `z`: those of all other heads are 0.

        A probe or direction that is fitted on them has no part in any other head, so it can be added or
        removed at the site as it is. Random directions that it is compared with are drawn over all heads.

        Parameters
        ----------
        head : the number of the head, from 0; negative numbers count from the last.
        n_heads : the number of heads of the model, `probes.hooked(stage).n_heads`.

        Raises
        ------
        InputError : the site is not `z`, or there is no such head.

        Example
        -------
        >>> acts = probes.extract(stage, concept, sites="z", progress=False)
        >>> one = acts.of_head(2, probes.hooked(stage).n_heads)
        >>> (one.values != 0).any((0, 1)).nonzero()[0].tolist(), one.columns["site"]
        ([16, 17, 18, 19, 20, 21, 22, 23], 'z head 2')
        """
        width = self.values.shape[2]
        if self.site != "z":
            raise InputError(f"site {self.site!r} has no heads: extract with sites='z' (--site z)")
        if n_heads < 1 or width % n_heads or not -n_heads <= head < n_heads:
            raise InputError(
                f"head {head} of {n_heads}: expected one from 0 to {n_heads - 1}, of values {width} wide"
            )
        head %= n_heads
        mask = np.zeros(width, dtype=np.float32)
        mask[head * (width // n_heads) : (head + 1) * (width // n_heads)] = 1
        controls = {n: a * mask if n == "random_init" else a for n, a in self.controls.items()}
        digest = json_digest([self.digest, "head", head])
        return replace(self, values=self.values * mask, controls=controls, head=head, digest=digest)

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file.

        Raises
        ------
        OutputError : the file cannot be written.

        Example
        -------
        >>> acts = probes.extract(stage, concept, controls=(), progress=False)
        >>> acts.save(folder / "acts.safetensors")
        >>> probes.Activations.load(folder / "acts.safetensors").digest == acts.digest
        True
        """
        metadata = {
            name: getattr(self, name)
            for name in (
                "site",
                "layers",
                "position",
                "texts",
                "stage",
                "lineage",
                "concept",
                "render",
                "digest",
                "head",
            )
        }
        metadata |= {name: getattr(self, name).tolist() for name in ("groups", "splits", "templates")}
        arrays = {"values": self.values, "labels": self.labels}
        arrays |= {f"control.{name}": array for name, array in self.controls.items()}
        with written_atomically(path) as temporary:
            save_file(
                {name: np.ascontiguousarray(array) for name, array in arrays.items()},
                temporary,
                metadata={"activations": json.dumps(metadata)},
            )

    @classmethod
    def load(cls, path: str | Path) -> Activations:
        """Read what `save` wrote.

        Raises
        ------
        InputError : the file is not there, or holds something else.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = json.loads((file.metadata() or {})["activations"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError) as error:
            raise InputError(
                f"{path} is not a file of activations ({error}): make one with Activations.save"
            ) from None
        controls = {n.removeprefix("control."): a for n, a in arrays.items() if n.startswith("control.")}
        metadata["groups"] = np.array(metadata["groups"])
        metadata |= {name: np.array(metadata[name], dtype=object) for name in ("splits", "templates")}
        return cls(values=arrays["values"], labels=arrays["labels"], controls=controls, **metadata)

    def __repr__(self) -> str:
        layers, rows, width = self.values.shape
        return (
            f"Activations({self.stage!r}, {self.concept!r}, {self.site}@{self.position}: "
            f"{layers} layers x {rows} rows x {width}, {self.n_pairs} pairs)"
        )

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"
