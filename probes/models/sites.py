"""Names for the places of a decoder that can be read or changed, the same in every backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from probes.errors import SiteError

SiteKind = Literal["embed", "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "z"]
"""`embed`: the input embeddings as the first block gets them (with learned positions, where a model adds
them); `resid_pre`, `resid_mid`, `resid_post`: the residual stream before a block, between its attention and
MLP, and after it; `attn_out`, `mlp_out`: what attention and MLP *add* to the residual stream (after a norm
behind them, if there is one); `z`: the concatenated outputs of the attention heads before the output
projection, `[.., n_heads * d_head]`."""

KINDS: tuple[str, ...] = get_args(SiteKind)


@dataclass(frozen=True, order=True)
class Site:
    """A place in a decoder: the kind of activation and, for all kinds but `embed`, the index of its block.

    Parameters
    ----------
    kind : one of `embed`, `resid_pre`, `resid_mid`, `resid_post`, `attn_out`, `mlp_out`, `z`.
    layer : the index of the block; 0 is the first.

    Raises
    ------
    SiteError
        The kind does not exist, a layer is missing, or `embed` is given a layer.

    Example
    -------
    >>> site = probes.Site("resid_post", 12)
    >>> str(site), probes.Site.parse("resid_post.12") == site
    ('resid_post.12', True)
    """

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
        """The site that `str` wrote. Raises SiteError for anything else.

        Example
        -------
        >>> probes.Site.parse("attn_out.3")
        Site(kind='attn_out', layer=3)
        """
        kind, dot, layer = text.partition(".")
        if dot and not layer.isdigit():
            raise SiteError(f"site {text!r}: expected KIND.LAYER, for example resid_post.12")
        return cls(kind, int(layer) if dot else None)  # pyright: ignore[reportArgumentType]


def expand(kind: str, layers: str | int | Sequence[int], n_layers: int) -> list[Site]:
    """The sites of one kind at several layers.

    Parameters
    ----------
    kind : the kind of the sites; `embed` is one site, whatever the layers are.
    layers : "all", one index, or a sequence of indices; a negative index counts from the last block.
    n_layers : the number of blocks of the model.

    Returns
    -------
    One site a layer, in the order given.

    Raises
    ------
    SiteError
        The kind or one of the layers does not exist.

    Example
    -------
    >>> from probes.models import expand
    >>> [str(site) for site in expand("resid_post", [0, -1], n_layers=30)]
    ['resid_post.0', 'resid_post.29']
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
