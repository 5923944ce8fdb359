"""Checkpoints: weights in bfloat16 under their GGUF names, written whole before they get their name."""
import os

import torch

from . import gguf
from .config import load_config
from .model import LandmarkModel
from .weights import load_weights, model_from_gguf, named_weights


def save(path, model, **extra):
    """extra: plain values kept beside the weights."""
    weights = {name: value.detach().to("cpu", torch.bfloat16) for name, value in named_weights(model)}
    torch.save({"weights": weights, **extra}, path + ".part")
    os.replace(path + ".part", path)


def load(path, model):
    """Fills the model from a checkpoint or a GGUF file; -> the values kept beside the weights."""
    if path.endswith(".gguf"):
        keys, weights = gguf.read(path)
        load_weights(model, weights)
        return keys
    content = torch.load(path, map_location="cpu")
    load_weights(model, content.pop("weights"))
    return content


def open_model(path, config=""):
    """A model on the CPU from a GGUF file, or from a checkpoint and its config file."""
    if path.endswith(".gguf"):
        return model_from_gguf(path)[0]
    model = LandmarkModel(load_config(config)[0])
    load(path, model)
    return model
