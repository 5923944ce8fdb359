"""The block-wise attention that training uses against the naive one, values and gradients."""
import dataclasses
import os
import sys
import unittest

import torch

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from train import landmark_attention as attention  # noqa: E402
from train.config import Shape  # noqa: E402
from train.model import LandmarkModel, dropped  # noqa: E402

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

    def test_some_contexts_go_on(self):
        model = LandmarkModel(dataclasses.replace(SHAPE, memory_layers=(0, 1))).double()
        rows, numbers, _ = self.documents()
        rows, numbers = torch.cat((rows, rows.flip(0))), torch.cat((numbers, numbers.flip(0)))
        all_h, all_memory = model.run_documents(rows, numbers, torch.float64)
        h, memory = model.run_documents(rows, numbers, torch.float64, onward=torch.tensor([0, 3]))
        self.assert_close(h, all_h[[0, 3]])
        self.assert_close(memory[1]["v"], all_memory[1]["v"])

    def test_dropout(self):
        x = torch.ones(3, 4, 1000)
        out = dropped(x, torch.tensor([0.0, 0.25, 0.9]))
        self.assertTrue(torch.equal(out[0], x[0]))
        for row, share in ((1, 0.25), (2, 0.9)):
            left = (out[row] != 0).double().mean().item()
            self.assertAlmostEqual(left, 1 - share, delta=0.04)  # 4,000 draws
            self.assertTrue(((out[row] == 0) | ((out[row] * (1 - share) - 1).abs() < 1e-6)).all())

    def test_dropout_by_context(self):
        rows, numbers, _ = self.documents()
        drop = torch.tensor([0.0, 0.5])
        plain, _ = self.model.run_documents(rows, numbers, torch.float64)
        h, memory = self.model.run_documents(rows, numbers, torch.float64, onward=torch.tensor([1, 0]), drop=drop)
        self.assert_close(h[1], plain[0])
        self.assertGreater(((h[0] - plain[1]).norm() / plain[1].norm()).item(), 0.1)
        prompts = torch.randint(5, SHAPE.vocabulary, (6, 6), generator=self.generator)
        visible = torch.ones(2, 3, 10, dtype=torch.bool)
        expected, _ = self.model.run_prompts(prompts, memory, visible, torch.float64)
        h, _ = self.model.run_prompts(prompts, memory, visible, torch.float64, torch.tensor([0.0] * 5 + [0.5]))
        self.assert_close(h[:5], expected[:5])
        self.assertGreater(((h[5] - expected[5]).norm() / expected[5].norm()).item(), 0.1)

    def test_gradients(self):
        rows, numbers, parts = self.documents()
        weight = torch.randn(20 * ROWS, SHAPE.vocabulary, generator=self.generator, dtype=torch.float64)
        (self.model.logits(self.model.run_documents(rows, numbers, torch.float64)[0]).flatten(0, 1) * weight).sum().backward()
        blockwise = [p.grad.clone() for p in self.model.parameters()]
        self.model.zero_grad()
        (torch.cat([self.model(part)[0][0] for part in parts]) * weight).sum().backward()
        for a, p in zip(blockwise, self.model.parameters()):
            self.assert_close(a, p.grad)

    def test_long(self):
        """A document piece by piece: the last piece is not whole, and the window spans pieces."""
        rows = random_rows(17, self.generator)[None].repeat(2, 1)
        rows[1, :-ROWS] = rows[0, ROWS:]
        rows[1, -ROWS:] = random_rows(1, self.generator)
        h, memory = self.model.run_long(rows, torch.float64, piece=4)
        _, above = self.model.run_long(rows, torch.float64, top=1, piece=8)
        self.assertEqual(list(above), [1])
        for i in range(2):
            expected, states, _ = self.model(rows[i:i + 1])
            self.assert_close(self.model.logits(h[i:i + 1]), expected)
            for layer in SHAPE.memory_layers:
                self.assert_close(memory[layer]["k"][i:i + 1], states[layer][1])
                self.assert_close(memory[layer]["v"][i:i + 1], states[layer][2])
            self.assert_close(above[1]["k"][i:i + 1], states[1][1])

    def test_best_far_blocks(self):
        """Against one row and head after another, read by the rules."""
        blocks, best = 9, 2
        q, k, v = (torch.randn(1, blocks * ROWS, heads, 8, generator=self.generator, dtype=torch.float64)
                   for heads in (4, 2, 2))
        shape = dataclasses.replace(SHAPE, reach=blocks)
        tables = {kind: self.model.table(kind, blocks * ROWS, "cpu") for kind in ("true", "offset", "far_query")}
        out, _ = attention.grouped_attention(q, k, v, tables, torch.zeros(1, blocks, dtype=torch.int64), shape, best)

        def turned(x, position):
            angle = position / 10000 ** (torch.arange(0, 8, 2, dtype=torch.float64) / 8)
            return torch.view_as_real(torch.view_as_complex(x.reshape(4, 2)) * torch.polar(torch.ones(4).double(), angle)).flatten()

        for row in (0, 3 * ROWS - 2, 5 * ROWS + 3, 9 * ROWS - 1):
            for head in range(4):
                block, offset, keys, values = row // ROWS, row % ROWS, k[0, :, head // 2], v[0, :, head // 2]

                def score(at):
                    if block - at // ROWS < SHAPE.near_blocks:
                        return turned(q[0, row, head], row) @ turned(keys[at], at) / 8 ** 0.5
                    return turned(q[0, row, head], offset + SHAPE.near_blocks * ROWS) @ turned(keys[at], at % ROWS) / 8 ** 0.5
                far = sorted(range(max(0, block - SHAPE.near_blocks + 1)), key=lambda b: -score(b * ROWS + ROWS - 1))[:best]
                read = [*far, *range(max(0, block - SHAPE.near_blocks + 1), block)]
                own = [at for at in range(block * ROWS, row + 1) if at % ROWS < ROWS - 1]
                first = torch.stack([score(at) for at in own] + [score(b * ROWS + ROWS - 1) for b in read]).softmax(0)
                expected = first[:len(own)] @ values[own]
                for weight, b in zip(first[len(own):], read):
                    inside = torch.stack([score(b * ROWS + i) for i in range(ROWS - 1)]).softmax(0)
                    expected = expected + weight * (inside @ values[b * ROWS:b * ROWS + ROWS - 1])
                self.assert_close(out[0, row, head], expected)

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
