"""Weights from a GGUF file into a model that is there already."""
import dataclasses
import os
import sys
import tempfile
import unittest

import numpy as np
import torch

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from train import checkpoint, gguf  # noqa: E402
from train.config import Shape  # noqa: E402
from train.model import LandmarkModel  # noqa: E402

SHAPE = Shape(layers=2, width=32, heads=2, kv_heads=1, head_width=16, inner=48, vocabulary=97, memory_layers=(1,), tied=False)
LAYER = {"attn_norm": (32,), "attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32), "attn_output": (32, 32),
         "ffn_norm": (32,), "ffn_gate": (48, 32), "ffn_up": (48, 32), "ffn_down": (32, 48)}
KEYS = [("general.name", gguf.STRING, "small"), ("landmark.block_size", gguf.UINT32, 63)]


def random_weights():
    generator = np.random.default_rng(0)
    sizes = {"token_embd": (97, 32), "output_norm": (32,), "output": (97, 32)}
    for layer in range(2):
        sizes.update({f"blk.{layer}.{name}": size for name, size in LAYER.items()})
    return {f"{name}.weight": generator.normal(size=size).astype(np.float32) for name, size in sizes.items()}


class FromGGUF(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/model.gguf"
        self.weights = random_weights()

    def write(self):
        gguf.write(self.path, KEYS, [(name, array, gguf.F32) for name, array in self.weights.items()])

    def test_every_weight(self):
        self.write()
        model = LandmarkModel(SHAPE)
        self.assertEqual(checkpoint.load(self.path, model), {"general.name": "small", "landmark.block_size": 63})
        loaded = {"token_embd": model.embedding, "output_norm": model.output_norm, "output": model.output}
        for number, layer in enumerate(model.layers):
            loaded.update({f"blk.{number}.{name}": getattr(layer, name) for name in LAYER})
        self.assertEqual(len(loaded), len(list(model.parameters())))
        for name, parameter in loaded.items():
            np.testing.assert_array_equal(parameter.detach().numpy(), self.weights[f"{name}.weight"], name)
            self.assertTrue(parameter.requires_grad, name)

    def test_on_to_a_checkpoint(self):
        """What is saved after that is the same in bfloat16, with what is kept beside the weights."""
        self.write()
        first, second = LandmarkModel(SHAPE), LandmarkModel(SHAPE)
        checkpoint.load(self.path, first)
        checkpoint.save(f"{self.path}.pt", first, number=7)
        self.assertEqual(checkpoint.load(f"{self.path}.pt", second), {"number": 7})
        for name, array in (("token_embd", second.embedding), ("blk.1.ffn_down", second.layers[1].ffn_down)):
            rounded = torch.from_numpy(self.weights[f"{name}.weight"]).bfloat16().float()
            self.assertTrue(torch.equal(array.detach(), rounded), name)

    def test_other_size(self):
        self.weights["blk.1.attn_k.weight"] = np.zeros((32, 32), np.float32)
        self.write()
        with self.assertRaisesRegex(AssertionError, r"blk.1.attn_k.weight has shape \(32, 32\), not \(16, 32\)"):
            checkpoint.load(self.path, LandmarkModel(SHAPE))

    def test_output_matrix_of_its_own(self):
        """A model whose output matrix is the embedding takes no file with both, and the other way round."""
        self.write()
        with self.assertRaisesRegex(AssertionError, "tied"):
            checkpoint.load(self.path, LandmarkModel(dataclasses.replace(SHAPE, tied=True)))
        del self.weights["output.weight"]
        self.write()
        with self.assertRaisesRegex(AssertionError, "tied"):
            checkpoint.load(self.path, LandmarkModel(SHAPE))
        checkpoint.load(self.path, LandmarkModel(dataclasses.replace(SHAPE, tied=True)))

    def test_no_gguf_file(self):
        with open(self.path, "wb") as out:
            out.write(b"something else, of some length")
        with self.assertRaisesRegex(AssertionError, "model.gguf is not a GGUF file"):
            checkpoint.load(self.path, LandmarkModel(SHAPE))


if __name__ == "__main__":
    unittest.main()
