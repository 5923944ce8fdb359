"""The block-wise attention that training uses against the naive one, values and gradients."""
import os
import sys
import unittest

import torch

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from train.config import Shape  # noqa: E402
from train.model import LandmarkModel  # noqa: E402

SHAPE = Shape(layers=4, width=32, heads=4, kv_heads=2, head_width=8, inner=48, vocabulary=97, block_size=7, landmark=4,
              memory_layers=(1, 3), window=12, near_blocks=3, reach=5)
ROWS = SHAPE.rows


def random_rows(blocks, generator):
    rows = torch.randint(5, SHAPE.vocabulary, (blocks * ROWS,), generator=generator)
    rows[ROWS - 1::ROWS] = SHAPE.landmark
    return rows


class Blocks(unittest.TestCase):
    def setUp(self):
        self.generator = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        self.model = LandmarkModel(SHAPE).double()
        for parameter in self.model.parameters():
            parameter.data.mul_(2)

    def assert_close(self, actual, expected):
        error = ((actual - expected).norm() / expected.norm()).item()
        self.assertLess(error, 2e-5)  # norms and rotations are computed in float32

    def documents(self):
        """Two contexts of 10 blocks: documents of 4 and 6 blocks, and one of 10."""
        rows = torch.stack([random_rows(10, self.generator), random_rows(10, self.generator)])
        numbers = torch.tensor([[0] * 4 + [1] * 6, [2] * 10])
        return rows, numbers, [rows[:1, :4 * ROWS], rows[:1, 4 * ROWS:], rows[1:]]

    def test_documents(self):
        rows, numbers, parts = self.documents()
        h, memory = self.model.run_documents(rows, numbers, torch.float64)
        logits = self.model.logits(h)
        logits = [logits[:1, :4 * ROWS], logits[:1, 4 * ROWS:], logits[1:]]
        expected = [self.model(part) for part in parts]
        for a, (b, _, _) in zip(logits, expected):
            self.assert_close(a, b)
        self.assert_close(memory[3]["k"][1:], expected[2][1][3][1])

    def test_gradients(self):
        rows, numbers, parts = self.documents()
        weight = torch.randn(20 * ROWS, SHAPE.vocabulary, generator=self.generator, dtype=torch.float64)
        (self.model.logits(self.model.run_documents(rows, numbers, torch.float64)[0]).flatten(0, 1) * weight).sum().backward()
        blockwise = [p.grad.clone() for p in self.model.parameters()]
        self.model.zero_grad()
        (torch.cat([self.model(part)[0][0] for part in parts]) * weight).sum().backward()
        for a, p in zip(blockwise, self.model.parameters()):
            self.assert_close(a, p.grad)

    def test_prompts(self):
        rows, numbers, _ = self.documents()
        _, memory = self.model.run_documents(rows, numbers, torch.float64)
        prompts = torch.randint(5, SHAPE.vocabulary, (2 * 3, 6), generator=self.generator)
        visible = torch.rand(2, 3, 10, generator=self.generator) < 0.6
        h, _ = self.model.run_prompts(prompts, memory, visible, torch.float64)
        for context in range(2):
            for prompt in range(3):
                chosen = visible[context, prompt].nonzero()[:, 0]
                far = {layer: tuple(m[name][context:context + 1].unflatten(1, (-1, ROWS))[:, chosen].flatten(1, 2)
                                    for name in ("k", "v")) for layer, m in memory.items()}
                expected, _, _ = self.model(prompts[context * 3 + prompt][None], far)
                self.assert_close(self.model.logits(h[context * 3 + prompt]), expected[0])

    def test_prompts_alone(self):
        prompts = torch.randint(5, SHAPE.vocabulary, (4, 6), generator=self.generator)
        queries = self.model.run_prompts(prompts, dtype=torch.float64)
        _, states, _ = self.model(prompts)
        for layer in SHAPE.memory_layers:
            self.assert_close(queries[layer], states[layer][0])


if __name__ == "__main__":
    unittest.main()
