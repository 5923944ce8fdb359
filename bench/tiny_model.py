#!/usr/bin/env python3
"""A random model of two layers with the tokenizer of a real one, for measuring everything around the model.

    bench/tiny_model.py MODEL.gguf TINY.gguf
"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from train import gguf  # noqa: E402

WIDTH, INNER, LAYERS = 32, 64, 2
SHAPE = {
    "general.name": "tiny random model", "llama.embedding_length": WIDTH, "llama.block_count": LAYERS,
    "llama.feed_forward_length": INNER, "llama.attention.head_count": 1, "llama.attention.head_count_kv": 1,
    "llama.rope.dimension_count": WIDTH, "landmark.memory_layers": [LAYERS - 1], "landmark.window": 64}


def kind(name, value):
    """The type of a key by its value: those of signed integers are named."""
    if isinstance(value, list):
        return gguf.ARRAY, kind(name, value[0])
    if isinstance(value, int) and not isinstance(value, bool):
        return gguf.INT32 if name == "tokenizer.ggml.token_type" else gguf.UINT32
    return {bool: gguf.BOOL, float: gguf.FLOAT32, str: gguf.STRING}[type(value)]


def tensors(vocabulary, random):
    def matrix(rows, columns, scale):
        return scale * random.standard_normal((rows, columns)).astype(np.float32)
    out = [("token_embd.weight", matrix(vocabulary, WIDTH, 1), gguf.Q8_0),
           ("output_norm.weight", np.ones(WIDTH, np.float32), gguf.F32)]
    for layer in range(LAYERS):
        for name, rows, columns in (("attn_q", WIDTH, WIDTH), ("attn_k", WIDTH, WIDTH), ("attn_v", WIDTH, WIDTH),
                                    ("attn_output", WIDTH, WIDTH), ("ffn_gate", INNER, WIDTH),
                                    ("ffn_up", INNER, WIDTH), ("ffn_down", WIDTH, INNER)):
            out.append((f"blk.{layer}.{name}.weight", matrix(rows, columns, columns ** -.5), gguf.Q8_0))
        for name in ("attn_norm", "ffn_norm"):
            out.append((f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32), gguf.F32))
    return out


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    keys = gguf.read(sys.argv[1])[0]
    keys = {name: value for name, value in keys.items() if not name.startswith(("landmark.rank.", "landmark.answer."))}
    keys.update(SHAPE)
    gguf.write(sys.argv[2], [(name, kind(name, value), value) for name, value in keys.items()],
               tensors(keys["llama.vocab_size"], np.random.default_rng(1)))


if __name__ == "__main__":
    main()
