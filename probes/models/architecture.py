"""Where the sites of a decoder are, found by watching three tokens go through it.

The names of modules differ between families, and so does what they mean: Llama's `post_attention_layernorm`
comes before the MLP, Gemma-2's after attention. So names only propose, and the arithmetic decides: a module
gives `attn_out` if the residual stream plus its output is, bit for bit, what the rest of the block receives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from probes.errors import CheckpointError, SiteError
from probes.lineage.decoders import context_window, decoder_blocks, first_tensor, input_device
from probes.models.sites import Site

ATTENTION_NAMES = ("self_attn", "attn", "attention", "self_attention")
MLP_NAMES = ("mlp", "feed_forward", "ffn", "block_sparse_moe", "moe", "feedforward", "ff")


@dataclass(frozen=True)
class Block:
    """One decoder block: the module behind each site, or the reason why the block does not have that site."""

    module: nn.Module
    attn_out: nn.Module | None = None
    """Its output is what attention adds to the residual stream."""
    mlp_out: nn.Module | None = None
    """Its output is what the MLP adds to the residual stream."""
    projection: nn.Module | None = None
    """Its input is z."""
    z_width: int | None = None
    of_attention: frozenset[str] = frozenset()
    """The paths inside the block of the modules that make what attention adds, its norms included. The others
    make what the MLP adds. Empty where that cannot be told."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """The kinds of site that the block does not have, and why."""


@dataclass(frozen=True)
class Architecture:
    """What the backends need to know of one decoder."""

    name: str
    """The model's class."""
    blocks: tuple[Block, ...]
    d_model: int
    n_heads: int
    d_head: int
    max_positions: int | None
    window: int | None
    """The narrowest sliding window or attention chunk of any block, in tokens; None if there is none."""

    def block(self, site: Site) -> Block:
        """The block that holds `site`. Raises SiteError if the model does not have that site."""
        layer = site.layer or 0
        if not 0 <= layer < len(self.blocks):
            raise SiteError(f"{site}: {self.name} has {len(self.blocks)} blocks, 0 to {len(self.blocks) - 1}")
        block = self.blocks[layer]
        if site.kind in block.missing:
            raise SiteError(f"{site} is not available in {self.name}: {block.missing[site.kind]}")
        return block


_architectures: WeakKeyDictionary[Any, tuple[tuple[int, ...], Architecture]] = WeakKeyDictionary()


def find_architecture(model: Any) -> Architecture:
    """Find the blocks and sites of a transformers causal language model.

    Three tokens are run through the model's blocks once, and again only when its modules have changed.

    Raises
    ------
    CheckpointError
        The model is not a causal decoder, or its blocks cannot be found. The message names the class.

    Example
    -------
    >>> architecture = find_architecture(stage.load().model)
    >>> architecture.name, len(architecture.blocks), architecture.d_head
    ('LlamaForCausalLM', 3, 8)
    """
    identity = _identity(model)
    if model in _architectures and _architectures[model][0] == identity:
        return _architectures[model][1]
    modules = decoder_blocks(model)
    name, config = type(model).__name__, model.config.get_text_config(decoder=True)
    traces = _trace(model, modules)
    blocks = tuple(_map_block(module, trace) for module, trace in zip(modules, traces, strict=True))
    width = next((block.z_width for block in blocks if block.z_width), None)
    d_head = width // config.num_attention_heads if width else getattr(config, "head_dim", None)
    windows = [
        getattr(config, key, None) for key in ("sliding_window", "attention_chunk_size", "window_size")
    ]
    architecture = Architecture(
        name=name,
        blocks=blocks,
        d_model=config.hidden_size,
        n_heads=config.num_attention_heads,
        d_head=d_head or config.hidden_size // config.num_attention_heads,
        max_positions=context_window(config),
        window=min((int(w) for w in windows if isinstance(w, int) and w > 0), default=None),
    )
    # What is remembered holds blocks and never the model, so that the model is freed as usual.
    _architectures[model] = identity, architecture
    return architecture


def _identity(model: Any) -> tuple[int, ...]:
    """What changes when modules of the model are exchanged. Raises CheckpointError if it has none."""
    if not isinstance(model, nn.Module):
        raise CheckpointError(f"{type(model).__name__}: expected a transformers causal language model")
    return tuple(id(module) for module in model.modules())


@dataclass
class _Call:
    """What a module was given and returned."""

    path: str  # of the module inside its block; "" is the block itself
    module: nn.Module
    given: Tensor | None
    result: Tensor | None


class _Traced(Exception):
    """Leaves the forward when the last block is done."""


def _trace(model: Any, blocks: list[nn.Module]) -> list[list[_Call]]:
    """What every module of every block was given and returned, in the order in which the modules finished."""
    calls: list[list[_Call]] = [[] for _ in blocks]
    handles = []
    try:
        for index, block in enumerate(blocks):
            for path, module in block.named_modules():
                given: list[Tensor | None] = []

                def before(_module, args, kwargs, given=given):
                    tensor = first_tensor(args, kwargs)
                    given.append(None if tensor is None else tensor.clone())

                def after(module, _args, output, path=path, index=index, given=given):
                    tensor = first_tensor(output)
                    result = None if tensor is None else tensor.clone()
                    calls[index].append(_Call(path, module, given.pop(), result))
                    if path == "" and index == len(blocks) - 1:
                        raise _Traced

                handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
                handles.append(module.register_forward_hook(after))
        ids = torch.arange(3, device=input_device(model))[None] % model.get_input_embeddings().weight.shape[0]
        try:
            with torch.no_grad():
                model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
        except _Traced:
            pass
    finally:
        for handle in handles:
            handle.remove()
    if not all(trace and trace[-1].path == "" for trace in calls):
        raise CheckpointError(
            f"{type(model).__name__}: its list of blocks is not called once each in a forward"
        )
    return calls


def _same(a: Tensor | None, b: Tensor) -> bool:
    """Whether two tensors are equal bit for bit, even if one has batch and sequence in one dimension."""
    return a is not None and a.numel() == b.numel() and torch.equal(a.reshape(b.shape), b)


def _map_block(block: nn.Module, trace: list[_Call]) -> Block:
    whole = trace[-1]
    before, after = whole.given, whole.result
    if before is None or after is None or before.shape != after.shape:
        raise CheckpointError(f"{type(block).__name__} does not take and return hidden states of one shape")
    kind = type(block).__name__
    missing: dict[str, str] = {}
    attention = _named(trace, ATTENTION_NAMES, before) or _by_class(trace, "attention", before)
    projection = None if attention is None else _projection(trace, attention)
    if projection is None:
        missing["z"] = f"no output projection of an attention module was found in {kind}"
    attn_add = None if attention is None else _after_norm(trace, attention)
    mlp_add, sequential = _find_sum(trace, before, after, attn_add)
    has_attn = attn_add is not None and (sequential or mlp_add is not None)
    if not has_attn:
        missing["attn_out"] = (
            f"no attention output that {kind} adds to the residual stream as it is was found"
        )
    if mlp_add is None:
        missing["mlp_out"] = f"no MLP output that {kind} adds to the residual stream as it is was found"
    if not sequential:
        missing["resid_mid"] = (
            f"{kind} runs attention and MLP in parallel" if mlp_add is not None and has_attn
            else f"no module of {kind} receives the residual stream plus the attention output"
        )  # fmt: skip
    return Block(
        module=block,
        attn_out=attn_add.module if attn_add is not None and has_attn else None,
        mlp_out=None if mlp_add is None else mlp_add.module,
        projection=None if projection is None else projection.module,
        z_width=None if projection is None or projection.given is None else projection.given.shape[-1],
        of_attention=frozenset() if attn_add is None else _until(trace, attn_add, mlp_add),
        missing=missing,
    )


def _until(trace: list[_Call], attention: _Call, mlp: _Call | None) -> frozenset[str]:
    """The paths of the modules that finished by the time attention's output was there, but for the MLP's."""
    first = trace[: trace.index(attention) + 1]
    top = "" if mlp is None else mlp.path.partition(".")[0]
    return frozenset(call.path for call in first if not top or call.path.partition(".")[0] != top)


def _named(trace: list[_Call], names: tuple[str, ...], like: Tensor) -> _Call | None:
    by_path = {
        call.path: call for call in trace if call.result is not None and call.result.numel() == like.numel()
    }
    return next((by_path[name] for name in names if name in by_path), None)


def _by_class(trace: list[_Call], word: str, like: Tensor) -> _Call | None:
    """The call of the outermost module whose class name has `word` in it."""
    calls = [
        call
        for call in trace
        if call.path and word in type(call.module).__name__.lower()
        and call.result is not None and call.result.numel() == like.numel()
    ]  # fmt: skip
    return min(calls, key=lambda call: call.path.count("."), default=None)


def _after_norm(trace: list[_Call], call: _Call) -> _Call:
    """The call of the norm that takes the output of `call` (Gemma-2/3, OLMo-2/3), else `call` itself."""
    assert call.result is not None
    for other in trace[trace.index(call) + 1 :]:
        if "norm" in type(other.module).__name__.lower() and _same(other.given, call.result):
            return other
    return call


def _projection(trace: list[_Call], attention: _Call) -> _Call | None:
    """The call of the last module with weights inside attention whose output is the attention's own."""
    assert attention.result is not None
    for call in reversed(trace[: trace.index(attention)]):
        weight = getattr(call.module, "weight", None)
        inside = call.path.startswith(attention.path + ".") and isinstance(weight, Tensor)
        if inside and call.given is not None and _same(call.result, attention.result):
            return call
    return None


def _find_sum(
    trace: list[_Call], before: Tensor, after: Tensor, attn: _Call | None
) -> tuple[_Call | None, bool]:
    """The call whose output is what the MLP adds, and whether the MLP comes after attention."""
    if attn is None or attn.result is None:
        return None, False
    attn_out = attn.result.reshape(before.shape)
    middle = before + attn_out
    sequential = any(_same(call.given, middle) for call in trace[:-1] if call.path != attn.path)
    for mlp in _mlp_candidates(trace, before):
        assert mlp.result is not None
        mlp_out = mlp.result.reshape(before.shape)
        orders = (middle + mlp_out,) if sequential else (
            middle + mlp_out, before + (attn_out + mlp_out), (before + mlp_out) + attn_out
        )  # fmt: skip
        if any(torch.equal(total, after) for total in orders):
            return mlp, sequential
    return None, sequential


def _mlp_candidates(trace: list[_Call], like: Tensor) -> Iterator[_Call]:
    """Calls that may be the MLP's, the likeliest first: one with its name, then all others, last to first."""
    named = _named(trace, MLP_NAMES, like)
    if named is not None:
        yield _after_norm(trace, named)
    for call in reversed(trace[:-1]):
        if call.result is not None and call.result.numel() == like.numel():
            yield call
