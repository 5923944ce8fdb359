"""More layers, the same results, and every new weight can be learnt."""
import os
import sys
import unittest

import torch

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from train.config import Shape  # noqa: E402
from train.grow import grow, sources  # noqa: E402
from train.model import LandmarkModel, with_landmarks  # noqa: E402

SHAPE = Shape(layers=4, width=32, heads=2, kv_heads=1, head_width=16, inner=48, vocabulary=97, memory_layers=(0, 1), window=128,
              near_blocks=2, reach=7)


class TestGrow(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(1)
        self.model, self.tokens = LandmarkModel(SHAPE), torch.randint(5, 97, (1, 4, 63))

    def stream(self, model):
        rows = with_landmarks(self.tokens, SHAPE.landmark)
        return model.run_documents(rows, torch.zeros(1, 4, dtype=torch.int64), torch.float32)[0]

    def test_computes_the_same(self):
        for layers in (5, 6, 9):
            grown = grow(self.model, layers)
            self.assertEqual(len(grown.layers), layers)
            torch.testing.assert_close(self.stream(grown), self.stream(self.model), rtol=0, atol=0)

    def test_nothing_before_the_top_memory_layer_moves(self):
        grown = grow(self.model, 6)
        for number in range(2):
            for name, value in self.model.layers[number].weights().items():
                self.assertTrue(torch.equal(value, grown.layers[number].weights()[name]), name)

    def test_new_layers_learn(self):
        """The output matrices at once, what stands before them as soon as these are not zero any more."""
        grown = grow(self.model, 6)
        for _ in range(2):
            grown.zero_grad()
            self.stream(grown).square().sum().backward()
            with torch.no_grad():
                for layer in grown.layers:
                    for parameter in layer.parameters():
                        parameter -= 1e-3 * parameter.grad
        for number, (_, new) in enumerate(sources(4, 1, 6)):
            for name, value in grown.layers[number].weights().items():
                self.assertGreater(value.grad.abs().max().item(), 0, (number, new, name))

    def test_where_they_stand(self):
        self.assertEqual(sources(4, 1, 6), [(0, False), (1, False), (2, False), (2, True), (3, False), (3, True)])
        self.assertEqual([new for _, new in sources(4, 1, 7)], [False, False, False, True, True, False, True])

    def test_what_cannot_be(self):
        for layers, top, wanted in ((4, 3, 6), (4, 1, 3)):
            with self.assertRaisesRegex(ValueError, "cannot become"):
                sources(layers, top, wanted)


if __name__ == "__main__":
    unittest.main()
