"""A model with more layers that computes what the smaller one does, to train on with.

    python3 -m train.grow --model FILE --like CONFIG [--config CONFIG] --out FILE.pt

FILE is a GGUF file, or a checkpoint with its --config; CONFIG of --like has the same shape but for more layers. Layers are added
behind the top memory layer, so that indexing, which ends there, costs what it did. Each is a copy of the layer before it whose
two output matrices are zero: it adds nothing to the stream until training has moved them (block expansion; Wu et al., LLaMA
Pro, 2024).
"""
import argparse
import dataclasses

import torch

from . import checkpoint
from .config import load_config
from .model import LandmarkModel
from .weights import load_weights, named_weights

OUTPUTS = ("attn_output", "ffn_down")


def sources(layers, top, wanted):
    """For each of `wanted` layers the one of `layers` that it comes from, and whether it is a new one. New ones are spread
    evenly over the layers behind `top`."""
    behind, new = range(top + 1, layers), wanted - layers
    if new < 0 or not behind:
        raise ValueError(f"{layers} layers with the top memory layer {top} cannot become {wanted}: there have to be layers behind "
                         "the top memory layer, and no fewer of them afterwards")
    copies = [behind[number * len(behind) // new] for number in range(new)]
    return sorted([(layer, False) for layer in range(layers)] + [(layer, True) for layer in copies])


@torch.no_grad()
def grow(model, layers):
    """-> a LandmarkModel of so many layers that computes what `model` does"""
    shape = model.shape
    grown = {name: value for name, value in named_weights(model) if not name.startswith("blk.")}
    for index, (source, new) in enumerate(sources(shape.layers, max(shape.memory_layers), layers)):
        for name, value in model.layers[source].weights().items():
            grown[f"blk.{index}.{name}.weight"] = torch.zeros_like(value) if new and name in OUTPUTS else value
    out = LandmarkModel(dataclasses.replace(shape, layers=layers))
    load_weights(out, grown)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--config", default="")
    parser.add_argument("--like", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    wanted, _, _ = load_config(options.like)
    model = checkpoint.open_model(options.model, options.config)
    shape = dataclasses.replace(model.shape, layers=wanted.layers)
    for field in dataclasses.fields(wanted):
        have, want = getattr(shape, field.name), getattr(wanted, field.name)
        if isinstance(want, float) and abs(have - want) <= 1e-6 * abs(want):   # a GGUF file has 32 bits of it
            continue
        if have != want:
            raise SystemExit(f"{options.model} and {options.like} differ in more than the layers: {field.name} is {have} in the "
                             f"model and {want} in the config")
    checkpoint.save(options.out, grow(model, wanted.layers))


if __name__ == "__main__":
    main()
