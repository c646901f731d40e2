"""Exact transforms of real checkpoints: what becomes of a direction is known without measuring anything.

For decoders of Llama's build: pre-norm blocks with RMSNorm, projections without a norm on what they write.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import ortho_group
from torch import Tensor, nn

from probes.errors import CheckpointError, InputError, OutputError

TOLERANCE = 1e-4
"""Largest change of a logit, in units of the largest logit where that is above 1, that counts as none."""
_PARTS = {
    "self_attn": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "mlp": ("gate_proj", "up_proj", "down_proj"),
}


def rotate(model: Any, seed: int = 0) -> Any:
    """A copy of `model` with its residual stream turned by a random orthogonal matrix: same function, and
    every direction that was read or pushed before is **rotated**.

    Each RMSNorm's scale is folded into the maps that read it, after which the norm commutes with rotations,
    and embeddings are untied (Ashkboos et al. 2024, SliceGPT, arXiv 2401.15024, section 3). The matrix is
    drawn from the Haar measure by `seed`; `rotation` gives it. Logits are checked to stay within `TOLERANCE`,
    in double precision: in single, a rotation spreads the rounding of a few huge dimensions over all others,
    which alone can move a logit by several times as much.

    Raises CheckpointError for a model that is not of Llama's build, or whose logits change.
    """
    exact = copy.deepcopy(model).double()
    turned = untied(exact)
    _fold_norms(turned)
    matrix = rotation(turned.config.hidden_size, seed)
    _replace(turned.get_input_embeddings(), lambda w: w @ matrix)
    _replace(turned.get_output_embeddings(), lambda w: w @ matrix)
    for reads, writes in _blocks(turned):
        for layer in reads:
            _replace(layer, lambda w: w @ matrix)
        for layer in writes:
            _replace(layer, lambda w: matrix.T @ w, lambda b: matrix.T @ b)
    change = logit_change(exact, turned)
    if not change <= TOLERANCE:
        raise CheckpointError(
            f"{type(model).__name__}: logits change by {change:.2g} under a rotation of the residual stream, "
            f"expected at most {TOLERANCE:g}: something else than RMSNorm and linear maps reads it; "
            "leave this transform out"
        )
    return turned.to(next(p.dtype for p in model.parameters() if p.is_floating_point()))


def rotation(width: int, seed: int) -> Tensor:
    """The matrix `[width, width]` float64 of `rotate`: a residual row vector h becomes h @ matrix."""
    return torch.from_numpy(np.asarray(ortho_group.rvs(width, random_state=seed)))


def project_out(model: Any, directions: Any) -> Any:
    """A copy of `model` that cannot write into the span of `directions`: what lay there is **lost**.

    The span is removed from the embeddings and from every map that writes to the residual stream, biases
    included (weight orthogonalisation, Arditi et al. 2024, arXiv 2406.11717, over a subspace), so that the
    residual stream has no component in it after any block. Embeddings are untied first: what the
    model reads out stays as it was.

    Parameters
    ----------
    directions : array `[d_model]` or `[k, d_model]`, of any lengths, not necessarily orthogonal.

    Raises InputError for directions of another width, without length or not finite, or that span everything;
    CheckpointError for a model that is not of Llama's build.
    """
    reduced = untied(model)
    basis = span(directions, reduced.config.hidden_size)

    def off(values: Tensor) -> Tensor:
        return values - (values @ basis.T) @ basis

    _replace(reduced.get_input_embeddings(), off)
    for _, writes in _blocks(reduced):
        for layer in writes:
            _replace(layer, lambda w: off(w.T).T, off)
    return reduced


def span(directions: Any, width: int) -> Tensor:
    """An orthonormal basis `[rank, width]` float64 of what `directions` span; errors as in `project_out`."""
    given = torch.atleast_2d(torch.as_tensor(np.array(directions), dtype=torch.float64))
    if given.ndim != 2 or given.shape[1] != width:
        raise InputError(
            f"directions of shape {tuple(given.shape)}: expected [k, {width}], the residual stream's width"
        )
    if not torch.isfinite(given).all() or not (given.norm(dim=1) > 0).all():
        raise InputError("a direction has length zero or is not finite: leave it out")
    _, sizes, basis = torch.linalg.svd(given / given.norm(dim=1, keepdim=True), full_matrices=False)
    basis = basis[sizes > 1e-8 * sizes[0]]
    if len(basis) == width:
        raise InputError(f"{len(given)} directions span all {width} dimensions: nothing would be left")
    return basis


def untied(model: Any) -> Any:
    """A copy of `model` whose output embeddings are its own, not the input embeddings.

    Raises CheckpointError for a model that is not of Llama's build.
    """
    made = copy.deepcopy(model).eval().requires_grad_(False)
    list(_blocks(made))
    head, embeddings = made.get_output_embeddings(), made.get_input_embeddings()
    head.weight = nn.Parameter(embeddings.weight.clone() if _tied(model) else head.weight.clone(), False)
    made.config.tie_word_embeddings = False
    return made


def save_stage(model: Any, tokenizer: Any, folder: str | Path) -> Path:
    """Write a model and its tokenizer as a plain folder, for `checkpoint = { path = ... }` of a lineage.toml.

    Raises OutputError when it cannot be written.
    """
    folder = Path(folder)
    try:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error}") from error
    return folder


def logit_change(before: Any, after: Any, n: int = 64, seed: int = 0) -> float:
    """Largest difference of two models' logits on `n` random tokens, in units of the largest logit of the
    first where that is above 1."""
    generator = torch.Generator().manual_seed(seed)
    device = before.get_input_embeddings().weight.device
    ids = torch.randint(before.config.vocab_size, (1, n), generator=generator).to(device)
    with torch.inference_mode():
        one, other = (model.eval()(input_ids=ids).logits.float() for model in (before, after))
    return float((one - other).abs().max() / one.abs().max().clamp(min=1))


def _tied(model: Any) -> bool:
    return model.get_output_embeddings().weight is model.get_input_embeddings().weight


def _replace(layer: Any, change: Any, change_bias: Any = None) -> None:
    """Change a layer's weight, and its bias, computed in float64."""
    for name, how in (("weight", change), ("bias", change_bias)):
        held = getattr(layer, name, None)
        if held is not None and how is not None:
            held.data = how(held.data.double().cpu()).to(device=held.device, dtype=held.dtype)


def _fold_norms(model: Any) -> None:
    """Move every RMSNorm's scale into the maps that read it."""
    inner = model.get_decoder()
    for block, (reads, _) in zip(inner.layers, _blocks(model), strict=True):
        for norm, maps in ((block.input_layernorm, reads[:3]), (block.post_attention_layernorm, reads[3:])):
            _fold(norm, maps)
    _fold(inner.norm, [model.get_output_embeddings()])


def _fold(norm: Any, maps: list[Any]) -> None:
    scale = norm.weight.data.double().cpu()
    for layer in maps:
        _replace(layer, lambda w: w * scale)
    norm.weight.data.fill_(1.0)


def _blocks(model: Any) -> Iterator[tuple[list[Any], list[Any]]]:
    """Of each block: the maps that read the residual stream (q, k, v, gate, up) and that write it (o, down).

    Raises CheckpointError naming what a model of another build lacks or has too many of.
    """
    name = type(model).__name__
    inner = model.get_decoder() if hasattr(model, "get_decoder") else None
    if not hasattr(inner, "layers") or not hasattr(getattr(inner, "norm", None), "weight"):
        raise CheckpointError(f"{name} has no decoder with layers and a final norm: expected Llama's build")
    for index, block in enumerate(inner.layers):  # pyright: ignore[reportOptionalMemberAccess]
        expected = {"input_layernorm", "post_attention_layernorm", *_PARTS}
        found = {child for child, module in block.named_children() if any(True for _ in module.parameters())}
        if found != expected:
            odd = ", ".join(sorted(found ^ expected))
            raise CheckpointError(f"{name}, block {index}: {odd} is missing or more than Llama's build has")
        layers = [
            getattr(getattr(block, part), projection, None)
            for part, projections in _PARTS.items()
            for projection in projections
        ]
        if not all(isinstance(layer, nn.Linear) for layer in layers):
            raise CheckpointError(
                f"{name}, block {index}: expected linear q, k, v, o, gate, up and down projections; "
                "a quantised model or a mixture of experts cannot be transformed"
            )
        q, k, v, o, gate, up, down = layers
        yield [q, k, v, gate, up], [o, down]
