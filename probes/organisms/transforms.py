"""Exact transforms of checkpoints, after which it is known what became of a direction.

They are for decoders built like Llama: pre-norm blocks with RMSNorm, and linear projections whose output is
added to the residual stream without another norm.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.stats import ortho_group
from torch import Tensor, nn

from probes.errors import CheckpointError, InputError, OutputError

TOLERANCE = 1e-4
"""The largest change of a logit that counts as none, in units of the largest logit where that is above 1."""
_PARTS = {
    "self_attn": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "mlp": ("gate_proj", "up_proj", "down_proj"),
}


def rotate(model: Any, seed: int = 0) -> Any:
    """A copy of `model` whose residual stream is turned by a random orthogonal matrix.

    The function of the model stays the same, and every direction that was found or steered along before is
    **rotated**. To that end the scale of each RMSNorm is folded into the maps that read its output, after
    which the norm commutes with rotations, and the embeddings are untied (Ashkboos et al. 2024, SliceGPT,
    arXiv 2401.15024, section 3). That the logits stay within `TOLERANCE` is checked in double precision. In
    single precision a rotation spreads the rounding errors of a few huge dimensions over all others, which
    alone can change a logit by several times as much.

    Parameters
    ----------
    model : a transformers model built like Llama. It is not changed.
    seed : draws the matrix from the uniform (Haar) distribution; `rotation` returns it.

    Returns
    -------
    The copy, in the precision of `model`, in evaluation mode and without gradients.

    Raises
    ------
    CheckpointError : the model is not built like Llama, or its logits change.

    Example
    -------
    >>> model = stage.load(device="cpu").model
    >>> rotated = rotate(model, seed=3)
    >>> logit_change(model, rotated) < 1e-4
    True
    >>> matrix = rotation(32, seed=3)
    >>> before, after = (m.get_input_embeddings().weight.double() for m in (model, rotated))
    >>> bool(torch.allclose(before @ matrix, after, atol=1e-5))
    True
    """
    exact = copy.deepcopy(model).double()
    rotated = untied(exact)
    _fold_norms(rotated)
    matrix = rotation(rotated.config.hidden_size, seed)
    _replace(rotated.get_input_embeddings(), lambda w: w @ matrix)
    _replace(rotated.get_output_embeddings(), lambda w: w @ matrix)
    for reads, writes in _blocks(rotated):
        for layer in reads:
            _replace(layer, lambda w: w @ matrix)
        for layer in writes:
            _replace(layer, lambda w: matrix.T @ w, lambda b: matrix.T @ b)
    change = logit_change(exact, rotated)
    if not change <= TOLERANCE:
        raise CheckpointError(
            f"{type(model).__name__}: logits change by {change:.2g} under a rotation of the residual stream, "
            f"expected at most {TOLERANCE:g}: something else than RMSNorm and linear maps reads it; "
            "leave this transform out"
        )
    return rotated.to(next(p.dtype for p in model.parameters() if p.is_floating_point()))


def rotation(width: int, seed: int) -> Tensor:
    """The orthogonal matrix `[width, width]`, float64, that `rotate` uses: it turns a residual row vector `h`
    into `h @ matrix`."""
    return torch.from_numpy(np.asarray(ortho_group.rvs(width, random_state=seed)))


def project_out(model: Any, directions: ArrayLike | Tensor) -> Any:
    """A copy of `model` that cannot write into the span of `directions`: whatever was there is **lost**.

    The span is removed from the embeddings and from every map that writes to the residual stream, biases
    included (weight orthogonalisation, Arditi et al. 2024, arXiv 2406.11717, here for a subspace). After that
    the residual stream has no component in the span at any layer. The embeddings are untied first, so that
    the output embeddings stay as they were.

    Parameters
    ----------
    model : a transformers model built like Llama. It is not changed.
    directions : `[d_model]` or `[k, d_model]`, of any lengths, not necessarily orthogonal.

    Returns
    -------
    The copy, in the precision of `model`, in evaluation mode and without gradients.

    Raises
    ------
    InputError : the directions have another width, have no length, are not finite, or span everything.
    CheckpointError : the model is not built like Llama.

    Example
    -------
    >>> model = stage.load(device="cpu").model
    >>> direction = np.arange(32.0)
    >>> reduced = project_out(model, direction)
    >>> embeddings = reduced.get_input_embeddings().weight.double().numpy()
    >>> bool(np.abs(embeddings @ direction).max() < 1e-4)
    True
    """
    reduced = untied(model)
    basis = orthonormal_basis(directions, reduced.config.hidden_size)

    def without_span(values: Tensor) -> Tensor:
        return values - (values @ basis.T) @ basis

    _replace(reduced.get_input_embeddings(), without_span)
    for _, writes in _blocks(reduced):
        for layer in writes:
            _replace(layer, lambda w: without_span(w.T).T, without_span)
    return reduced


def orthonormal_basis(directions: ArrayLike | Tensor, width: int) -> Tensor:
    """An orthonormal basis of what `directions` span.

    Parameters
    ----------
    directions : `[width]` or `[k, width]`.

    Returns
    -------
    `[rank, width]`, float64.

    Raises
    ------
    InputError : see `project_out`.

    Example
    -------
    >>> orthonormal_basis([[1, 0, 0], [3, 4, 0], [0, 2, 0]], width=3).shape
    torch.Size([2, 3])
    """
    vectors = torch.atleast_2d(torch.as_tensor(np.array(directions), dtype=torch.float64))
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise InputError(
            f"directions of shape {tuple(vectors.shape)}: expected [k, {width}], the residual stream's width"
        )
    if not torch.isfinite(vectors).all() or not (vectors.norm(dim=1) > 0).all():
        raise InputError(
            "a direction has length zero or is not finite: expected finite, non-zero ones; leave it out"
        )
    _, sizes, basis = torch.linalg.svd(vectors / vectors.norm(dim=1, keepdim=True), full_matrices=False)
    basis = basis[sizes > 1e-8 * sizes[0]]
    if len(basis) == width:
        raise InputError(
            f"{len(vectors)} directions span all {width} dimensions, so that nothing would be left: "
            "give fewer directions"
        )
    return basis


def untied(model: Any) -> Any:
    """A copy of `model` whose output embeddings are its own and not the input embeddings.

    Raises CheckpointError for a model that is not built like Llama.
    """
    separate = copy.deepcopy(model).eval().requires_grad_(False)
    list(_blocks(separate))  # raises for another build
    head, embeddings = separate.get_output_embeddings(), separate.get_input_embeddings()
    head.weight = nn.Parameter(embeddings.weight.clone() if _tied(model) else head.weight.clone(), False)
    separate.config.tie_word_embeddings = False
    return separate


def save_stage(model: Any, tokenizer: Any, folder: str | Path) -> Path:
    """Write a model and its tokenizer as a folder that `checkpoint = { path = ... }` of a lineage.toml names.

    Returns
    -------
    The folder.

    Raises
    ------
    OutputError : the folder cannot be written.

    Example
    -------
    >>> loaded = stage.load(device="cpu")
    >>> save_stage(rotate(loaded.model), loaded.tokenizer, folder / "rotated").name
    'rotated'
    """
    folder = Path(folder)
    try:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error}; give a folder that can") from error
    return folder


def logit_change(before: Any, after: Any, n: int = 64, seed: int = 0) -> float:
    """The largest difference between the logits of two models on `n` random tokens, in units of the largest
    logit of the first model where that is above 1."""
    generator = torch.Generator().manual_seed(seed)
    device = before.get_input_embeddings().weight.device
    ids = torch.randint(before.config.vocab_size, (1, n), generator=generator).to(device)
    with torch.inference_mode():
        one, other = (model.eval()(input_ids=ids).logits.float() for model in (before, after))
    return float((one - other).abs().max() / one.abs().max().clamp(min=1))


def _tied(model: Any) -> bool:
    return model.get_output_embeddings().weight is model.get_input_embeddings().weight


def _replace(
    layer: Any,
    change: Callable[[Tensor], Tensor],
    change_bias: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Change the weight of a layer, and its bias where it has one; computed in float64."""
    for name, how in (("weight", change), ("bias", change_bias)):
        parameter = getattr(layer, name, None)
        if parameter is not None and how is not None:
            changed = how(parameter.data.double().cpu())
            parameter.data = changed.to(device=parameter.device, dtype=parameter.dtype)


def _fold_norms(model: Any) -> None:
    """Move the scale of every RMSNorm into the maps that read its output."""
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
    """Of each block, the maps that read the residual stream (q, k, v, gate, up) and those that write to it
    (o, down).

    Raises CheckpointError, which names what a model of another build lacks or has too many of.
    """
    name = type(model).__name__
    try:
        inner = model.get_decoder()
        blocks, _ = inner.layers, inner.norm.weight
    except AttributeError:
        raise CheckpointError(
            f"{name} has no decoder with layers and a final norm: expected a model built like Llama"
        ) from None
    for index, block in enumerate(blocks):
        expected = {"input_layernorm", "post_attention_layernorm", *_PARTS}
        present = {
            child for child, module in block.named_children() if any(True for _ in module.parameters())
        }
        if present != expected:
            odd = ", ".join(sorted(present ^ expected))
            raise CheckpointError(
                f"{name}, block {index}: {odd} is missing or should not be there: expected a model built "
                "like Llama"
            )
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
