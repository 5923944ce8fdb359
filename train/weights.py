"""Weights of a LandmarkModel under their GGUF names."""
import dataclasses

import numpy as np
import torch

from . import gguf
from .config import shape_from_gguf
from .model import LandmarkModel, MATRICES, NORMS


def named_weights(model):
    """Yields (GGUF name, parameter)."""
    yield "token_embd.weight", model.embedding
    for index, layer in enumerate(model.layers):
        for name in NORMS + MATRICES:
            yield f"blk.{index}.{name}.weight", getattr(layer, name)
    yield "output_norm.weight", model.output_norm
    if model.output is not None:
        yield "output.weight", model.output


@torch.no_grad()
def load_weights(model, tensors):
    """tensors: {GGUF name: array or tensor}, every weight of the model."""
    assert ("output.weight" in tensors) == (model.output is not None), \
        "either the weights or the shape has an output matrix of its own, the other not: see \"tied\" in the config's shape"
    for name, parameter in named_weights(model):
        value = tensors[name]
        value = torch.from_numpy(np.array(value, np.float32)) if isinstance(value, np.ndarray) else value
        assert value.shape == parameter.shape, f"{name} has shape {tuple(value.shape)}, not {tuple(parameter.shape)}"
        parameter.copy_(value)


def model_from_gguf(path):
    """-> (LandmarkModel on the CPU, keys of the file)"""
    keys, tensors = gguf.read(path)
    model = LandmarkModel(dataclasses.replace(shape_from_gguf(keys), tied="output.weight" not in tensors))
    load_weights(model, tensors)
    return model, keys
