"""Turns a Llama checkpoint into a landmark model to go on training with, as the paper did with LLaMA.

    python3 -m train.finetune --llama FOLDER --like CONFIG --out FOLDER [--memory-layers 3 7] [--window 256]
                              [--near-blocks 4] [--reach 31]

FOLDER of --llama holds config.json, *.safetensors (names as in transformers) and tokenizer.model (SentencePiece BPE
with byte fallback). Writes config.json (the checkpoint's shape; step and settings of --like, at a tenth of its learning
rates), start.pt and tokenizer.model, which the further stages take:

    python3 -m train.pack encode --tokenizer OUT/tokenizer.model ...
    python3 -m train.train --config OUT/config.json --resume OUT/start.pt --tokenizer OUT/tokenizer.model ...

What changes: rows of the query and key matrices change places, as transformers rotates component i with i + D/2 and we
rotate neighbours; pieces are renumbered so that the trainer's special ones come first (tokenizer.py), the landmark among
them. A piece that the checkpoint has not begins as the mean of all its pieces, the newline as its byte.
"""
import argparse
import dataclasses
import json
import os
import pathlib

import numpy as np
import torch

from . import checkpoint, safetensors
from .config import Settings, Shape, load_config
from .model import LandmarkModel
from .protobuf import field_bytes, fields
from .tokenizer import BOS, EOS, LANDMARK, NEWLINE, PAD, UNKNOWN, load
from .weights import load_weights

NAMES = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
SLOWER = 0.1          # share of the learning rates that serve a model trained from the beginning
CONTROL, USER_DEFINED = 3, 4  # types of SentencePiece pieces


# ---------------------------------------------------------------- shape


def shape_from_llama(values, vocabulary, **landmark):
    """values: of config.json; landmark: fields of Shape that a Llama has not."""
    scaling = values.get("rope_scaling") or values.get("rope_parameters") or {}
    unlike = {"model_type": values.get("model_type", "llama") != "llama", "hidden_act": values.get("hidden_act", "silu") != "silu",
              "attention_bias": values.get("attention_bias", False), "mlp_bias": values.get("mlp_bias", False),
              "rope_scaling": scaling.get("rope_type", scaling.get("type", "default")) != "default"}
    for name, differs in unlike.items():
        if differs:
            raise ValueError(f"config.json: {name} is {values[name]}; only plain Llama models can be turned into landmark models")
    heads, layers = values["num_attention_heads"], values["num_hidden_layers"]
    shape = Shape(layers=layers, width=values["hidden_size"], heads=heads,
                  kv_heads=values.get("num_key_value_heads") or heads,
                  head_width=values.get("head_dim") or values["hidden_size"] // heads, inner=values["intermediate_size"],
                  vocabulary=vocabulary, landmark=LANDMARK, padding=PAD, tied=values.get("tie_word_embeddings", False),
                  rotary_base=float(values.get("rope_theta") or scaling.get("rope_theta") or 10000.0),
                  epsilon=values["rms_norm_eps"], **landmark)
    if not shape.memory_layers or not set(shape.memory_layers) <= set(range(layers)):
        raise ValueError(f"memory layers {list(shape.memory_layers)} are not among the checkpoint's {layers} layers (from 0)")
    return shape


# ---------------------------------------------------------------- pieces


def new_order(tokenizer):
    """Which old piece each new one is; -1 for those that the tokenizer has not."""
    newline = tokenizer.piece_to_id("\n")
    special = {PAD: tokenizer.pad_id(), UNKNOWN: tokenizer.unk_id(), BOS: tokenizer.bos_id(), EOS: tokenizer.eos_id(),
               LANDMARK: -1, NEWLINE: -1 if newline == tokenizer.unk_id() else newline}
    first = [special[i] for i in range(len(special))]
    return first + [i for i in range(tokenizer.vocab_size()) if i not in first]


def piece(text, kind):
    """A piece as its message in a SentencePiece model."""
    return field_bytes(1, text.encode()) + field_bytes(3, kind)


def reordered_tokenizer(model, order):
    """model: bytes of a SentencePiece model -> those of one with its pieces in another order, and new ones."""
    new = {PAD: piece("<pad>", CONTROL), LANDMARK: piece("<landmark>", CONTROL), NEWLINE: piece("\n", USER_DEFINED)}
    messages = list(fields(memoryview(model)))
    old = [value for number, value in messages if number == 1]
    pieces = [old[source] if source >= 0 else new[i] for i, source in enumerate(order)]
    return b"".join([field_bytes(1, p) for p in pieces] + [field_bytes(*message) for message in messages if message[0] != 1])


def reordered_rows(matrix, order, byte_of_newline):
    """Rows of an embedding or output matrix in the pieces' new order."""
    out = np.repeat(matrix.mean(0, keepdims=True), len(order), 0)
    order = np.array(order)
    out[order >= 0] = matrix[order[order >= 0]]
    if order[NEWLINE] < 0:
        out[NEWLINE] = matrix[byte_of_newline]
    return out


# ---------------------------------------------------------------- weights


def interleaved(matrix, head_width):
    """Query or key matrix [heads * D, C]: of each head, row i and row i + D/2 become neighbours."""
    halves = matrix.reshape(-1, 2, head_width // 2, matrix.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(matrix.shape)


def weights_from_llama(tensors, shape, order, byte_of_newline):
    """-> {GGUF name: array}"""
    out = {"token_embd.weight": reordered_rows(tensors["model.embed_tokens.weight"], order, byte_of_newline),
           "output_norm.weight": tensors["model.norm.weight"]}
    if not shape.tied:
        out["output.weight"] = reordered_rows(tensors["lm_head.weight"], order, byte_of_newline)
    for layer in range(shape.layers):
        for name, theirs in NAMES.items():
            value = tensors[f"model.layers.{layer}.{theirs}.weight"]
            rotated = name in ("attn_q", "attn_k")
            out[f"blk.{layer}.{name}.weight"] = interleaved(value, shape.head_width) if rotated else value
    return out


def convert(folder, **landmark):
    """-> (LandmarkModel, bytes of its tokenizer)"""
    tokenizer = load(f"{folder}/tokenizer.model")
    order = new_order(tokenizer)
    if len(order) > 65536:
        raise ValueError(f"{folder}: the vocabulary has {len(order)} pieces; packed documents keep tokens in 16 bits")
    values = json.loads(pathlib.Path(folder, "config.json").read_text(encoding="utf-8"))
    landmark["memory_layers"] = tuple(landmark.get("memory_layers") or range(values["num_hidden_layers"]))
    shape = shape_from_llama(values, len(order), **landmark)
    model = LandmarkModel(shape)
    load_weights(model, weights_from_llama(safetensors.read_folder(folder), shape, order, tokenizer.piece_to_id("<0x0A>")))
    return model, reordered_tokenizer(pathlib.Path(folder, "tokenizer.model").read_bytes(), order)


def write_config(path, shape, like):
    """A config file with this shape, and the rest as in the file `like`."""
    _, step, settings = load_config(like)
    settings = dataclasses.replace(settings, muon_rate=settings.muon_rate * SLOWER, adam_rate=settings.adam_rate * SLOWER)
    usual = dataclasses.asdict(Settings())
    changed = {name: value for name, value in dataclasses.asdict(settings).items() if value != usual[name]}
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"shape": dataclasses.asdict(shape), "step": step, "settings": changed}, out, indent=2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--llama", required=True, help="folder of the checkpoint")
    parser.add_argument("--like", required=True, help="config whose step and settings are taken over")
    parser.add_argument("--out", required=True)
    parser.add_argument("--memory-layers", type=int, nargs="+", help="layers that read the memory (all)")
    parser.add_argument("--window", type=int, default=Shape.window, help="of the other layers")
    parser.add_argument("--near-blocks", type=int, default=Shape.near_blocks)
    parser.add_argument("--reach", type=int, default=Shape.reach)
    options = parser.parse_args()
    torch.manual_seed(0)
    model, tokenizer = convert(options.llama, memory_layers=options.memory_layers, window=options.window,
                               near_blocks=options.near_blocks, reach=options.reach)
    os.makedirs(options.out, exist_ok=True)
    with open(f"{options.out}/tokenizer.model", "wb") as out:
        out.write(tokenizer)
    checkpoint.save(f"{options.out}/start.pt", model)
    write_config(f"{options.out}/config.json", model.shape, options.like)


if __name__ == "__main__":
    main()
