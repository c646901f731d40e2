"""Names for the places of a decoder that can be read or pushed, the same in every backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from probes.errors import SiteError

SiteKind = Literal["embed", "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "z"]
"""`embed`: input embeddings as the first block gets them (with learned positions, where a model adds
them); `resid_pre`, `resid_mid`, `resid_post`: the residual stream before a block, between attention and MLP,
after it; `attn_out`, `mlp_out`: what attention and MLP *add* to the residual stream (after any post-norm);
`z`: the concatenated attention heads before the output projection, `[.., n_heads * d_head]`."""

KINDS: tuple[str, ...] = get_args(SiteKind)


@dataclass(frozen=True, order=True)
class Site:
    """A hook point and, for all but `embed`, the index of its block (0 is the first)."""

    kind: SiteKind
    layer: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SiteError(f"site {self.kind!r} is not known: expected one of {', '.join(KINDS)}")
        if (self.layer is None) != (self.kind == "embed"):
            needs = "takes no layer" if self.kind == "embed" else "needs a layer"
            raise SiteError(f"site {self.kind!r} {needs}, got layer={self.layer!r}")

    def __str__(self) -> str:
        return self.kind if self.layer is None else f"{self.kind}.{self.layer}"

    @classmethod
    def parse(cls, text: str) -> Site:
        """`"resid_post.12"` -> `Site("resid_post", 12)`; `"embed"` -> `Site("embed")`."""
        kind, dot, layer = text.partition(".")
        if dot and not layer.isdigit():
            raise SiteError(f"site {text!r}: expected KIND.LAYER, for example resid_post.12")
        return cls(kind, int(layer) if dot else None)  # pyright: ignore[reportArgumentType]


def expand(kind: str, layers: str | int | Sequence[int], n_layers: int) -> list[Site]:
    """The sites of one kind at `layers` ("all", one index, or a sequence; negative counts from the end).

    Raises SiteError for a kind or a layer that does not exist.
    """
    if kind == "embed":
        return [Site("embed")]
    indices = range(n_layers) if isinstance(layers, str) and layers == "all" else layers
    if isinstance(indices, int):
        indices = [indices]
    if isinstance(indices, str):
        raise SiteError(f'layers={layers!r}: expected "all", an index or a sequence of indices')
    sites = []
    for index in indices:
        if not -n_layers <= index < n_layers:
            raise SiteError(
                f"layer {index} does not exist: the model has {n_layers} blocks, 0 to {n_layers - 1}"
            )
        sites.append(Site(kind, index % n_layers))  # pyright: ignore[reportArgumentType]
    return sites
