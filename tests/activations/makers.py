"""What the tests of activations share: texts, and their residual stream from transformers alone."""

import torch

TEXTS = [
    "the cheap old chair",
    "the costly fancy table was sold near Ohio .",
    "a lamp",
    "would you choose the red book or not",
]


def reference(loaded, text):
    """One text's residual stream after each block, `[layer, token, d_model]`, from transformers alone."""
    ids = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
    kept = []
    hooks = [
        block.register_forward_hook(lambda m, i, o: kept.append(o[0] if isinstance(o, tuple) else o))
        for block in loaded.model.model.layers
    ]
    with torch.no_grad():
        loaded.model(ids)
    for hook in hooks:
        hook.remove()
    return torch.cat(kept).float().numpy()
