"""Checkpoints: weights in bfloat16 under their GGUF names, written whole before they get their name."""
import os

import torch

from .config import load_config
from .model import LandmarkModel
from .weights import load_weights, model_from_gguf, named_weights


def save(path, model, **extra):
    """extra: plain values kept beside the weights."""
    weights = {name: value.detach().to("cpu", torch.bfloat16) for name, value in named_weights(model)}
    torch.save({"weights": weights, **extra}, path + ".part")
    os.replace(path + ".part", path)


def load(path, model):
    """Fills the model; -> the values kept beside the weights."""
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


def load_training(path, optimisers):
    """State of the optimisers, where the run that wrote it was on this machine."""
    for optimiser, state in zip(optimisers, torch.load(path, map_location="cpu")):
        optimiser.load_state_dict(state)


def save_training(path, optimisers):
    torch.save([optimiser.state_dict() for optimiser in optimisers], path + ".part")
    os.replace(path + ".part", path)
