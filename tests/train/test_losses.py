"""Blocks ranked by exact attention: scores and losses against plain loops in float64."""
import math
import os
import sys
import unittest

import numpy as np
import torch

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from train import losses  # noqa: E402
from train.config import Shape  # noqa: E402


def log_sum_exp(values):
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


class AttentionScores(unittest.TestCase):
    """B = 2 contexts, P = 3 prompts of T = 5 rows, H = 4 query heads, G = 2 key heads, M = 3 blocks of 63 tokens."""

    def setUp(self):
        generator = torch.Generator().manual_seed(0)
        self.queries = torch.randn(2, 3, 5, 4, 8, generator=generator, dtype=torch.float64)
        self.keys = torch.randn(2, 3, 64, 2, 8, generator=generator, dtype=torch.float64)
        self.tokens = torch.arange(5) < torch.tensor([[5, 3, 1], [2, 4, 5]])[:, :, None]

    def expected(self):
        queries, keys = self.queries.numpy(), self.keys.numpy()
        out = np.zeros((2, 3, 3, 4))
        for context, prompt, block, head in np.ndindex(out.shape):
            rows = np.flatnonzero(self.tokens[context, prompt].numpy())
            out[context, prompt, block, head] = np.mean([
                log_sum_exp([float(np.dot(queries[context, prompt, row, head], keys[context, block, token, head // 2]))
                             for token in range(63)]) for row in rows])
        return out

    def test_values(self):
        actual = losses.attention_scores(self.queries, self.keys, self.tokens)
        self.assertEqual(actual.shape, (2, 3, 3, 4))
        np.testing.assert_allclose(actual.numpy(), self.expected(), rtol=1e-5, atol=1e-5)

    def test_what_does_not_count(self):
        """Neither a block's landmark nor what follows a prompt has a part in its scores or gets a gradient."""
        self.keys[:, :, 63] *= 100
        self.queries[~self.tokens] *= 100
        expected = self.expected()
        self.queries.requires_grad_()
        self.keys.requires_grad_()
        actual = losses.attention_scores(self.queries, self.keys, self.tokens)
        np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-5, atol=1e-5)
        actual.sum().backward()
        self.assertEqual(self.keys.grad[:, :, 63].abs().max().item(), 0)
        self.assertEqual(self.queries.grad[~self.tokens].abs().max().item(), 0)
        self.assertGreater(self.keys.grad[:, :, :63].abs().min().item(), 0)
        self.assertGreater(self.queries.grad[self.tokens].abs().min().item(), 0)


class PointLosses(unittest.TestCase):
    """B = 2 contexts of N = 2 blocks of 3 tokens, P = 2 prompts, A = 2 answer tokens, H = 4 query heads, G = 2 key heads."""

    shape = Shape(heads=4, kv_heads=2, head_width=8, block_size=3, near_blocks=2, rotary_base=100.0)

    def setUp(self):
        generator = torch.Generator().manual_seed(0)
        self.queries = torch.randn(2, 2, 2, 4, 8, generator=generator, dtype=torch.float64)
        self.keys = torch.randn(2, 2, 4, 2, 8, generator=generator, dtype=torch.float64)
        self.at = torch.tensor([[[2, 3], [1, 2]], [[0, 1], [5, 6]]])
        self.points = torch.tensor([[[[0, 5], [1, 6]], [[2, -1], [9, -1]]], [[[-1, -1], [-1, -1]], [[6, -1], [0, -1]]]])
        self.visible = torch.tensor([[[1, 1], [1, 1]], [[1, 1], [0, 1]]]).bool()
        self.counted = torch.tensor([[[1, 1], [1, 0]], [[1, 1], [1, 1]]]).bool()

    def score(self, context, prompt, answer, row):
        """Sum over heads of the far query's product with a key; each pair of neighbouring dimensions turns by its own angle."""
        position, total = self.shape.far + self.at[context, prompt, answer].item() % 4, 0
        key = self.keys[context, row // 4, row % 4].numpy()
        for head in range(4):
            query = self.queries[context, prompt, answer, head].numpy()
            for d in range(4):
                turned = (query[2 * d] + 1j * query[2 * d + 1]) * np.exp(1j * position * 100.0 ** (-d / 4))
                total += (turned * np.conj(key[head // 2, 2 * d] + 1j * key[head // 2, 2 * d + 1])).real
        return total / math.sqrt(8) / 4

    def test_against_loops(self):
        losses_, right, counts = [], np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
        for place in np.ndindex(2, 2, 2):
            rows = [row for row in range(8) if row % 4 < 3 and self.visible[place[:2]][row // 4]]
            gold = [row for row in self.points[place].tolist() if row in rows]
            if not gold or not self.counted[place]:
                continue
            scores = {row: self.score(*place, row) for row in rows}
            counts[place] = True
            right[place] = max(scores, key=scores.get) in gold
            losses_.append(log_sum_exp(list(scores.values())) - log_sum_exp([scores[row] for row in gold]))
        loss, best, counted = losses.point_losses(self.queries, self.keys, self.at, self.points, self.visible, self.counted,
                                                  self.shape, 4.0)
        self.assertEqual(len(losses_), 4)     # two are nowhere, one is hidden, one does not count
        self.assertAlmostEqual(loss.item(), np.mean(losses_), places=5)
        np.testing.assert_array_equal(best.numpy(), right)
        np.testing.assert_array_equal(counted.numpy(), counts)


class AttendLosses(unittest.TestCase):
    """Prompts over 6 blocks: one right block found, one not found, two right ones, one right that may not be chosen, none
    right, one right of two of which one may not be chosen."""

    gold = torch.tensor([[1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0],
                         [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 1]]).bool()
    visible = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0],
                            [1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]]).bool()

    def setUp(self):
        generator = torch.Generator().manual_seed(0)
        self.scores, self.teacher, self.landmarks = (2 * torch.randn(6, 6, generator=generator, dtype=torch.float64)
                                                     for _ in range(3))
        self.scores[0, 0] = 7     # right, and the best
        self.scores[1, 2] = -3    # right, and not the best
        self.scores[2, 4] = 7     # one of two right ones is the best
        self.scores[2, 5] = 9     # may not be chosen
        self.scores[5, 5] = 9     # right, but may not be chosen
        self.scores[5, 1] = 8     # the best of those that may

    def expected(self, taught):
        """The first `taught` prompts have a teacher."""
        contrast, found, divergence, imitation = [], [], [], []
        for prompt in range(6):
            seen = [block for block in range(6) if self.visible[prompt, block]]
            right = [block for block in seen if self.gold[prompt, block]]
            if not right:
                continue
            scores, *others = ({block: x[prompt, block].item() for block in seen}
                               for x in (self.scores, self.teacher, self.landmarks))
            student, teacher, landmarks = ({block: math.exp(x[block] - log_sum_exp(list(x.values()))) for block in seen}
                                           for x in (scores, *others))
            imitation.append(sum(student[b] * math.log(student[b] / landmarks[b]) for b in seen))
            contrast.append(-math.log(sum(student[block] for block in right)))
            found.append(max(seen, key=scores.get) in right)
            if prompt < taught:
                divergence.append(sum(teacher[b] * math.log(teacher[b] / student[b]) for b in seen))
        return {"attend": np.mean(contrast), "attend_accuracy": np.mean(found), "attend_distillation": np.mean(divergence),
                "imitation": np.mean(imitation)}

    def test_values(self):
        actual = losses.attend_losses(self.scores, self.landmarks, self.gold, self.visible, self.teacher[:4])
        expected = self.expected(4)
        self.assertEqual(actual.keys(), expected.keys())
        for name, value in expected.items():
            self.assertAlmostEqual(actual[name].item(), value, 6, name)
        self.assertEqual(actual["attend_accuracy"].item(), 0.5)   # of prompts 0, 1, 2 and 5

    def test_only_landmarks_learn_by_imitation(self):
        self.scores.requires_grad_()
        self.landmarks.requires_grad_()
        losses.attend_losses(self.scores, self.landmarks, self.gold, self.visible, None)["imitation"].backward()
        self.assertIsNone(self.scores.grad)
        self.assertGreater(self.landmarks.grad.abs().max().item(), 0)

    def test_without_teacher(self):
        actual = losses.attend_losses(self.scores, self.landmarks, self.gold, self.visible, None)
        self.assertEqual(set(actual), {"attend", "attend_accuracy", "imitation"})
        self.assertAlmostEqual(actual["attend"].item(), self.expected(6)["attend"], 6)

    def test_teacher_of_its_own_opinion(self):
        """A teacher that gives the same probabilities has nothing to teach, whatever it says of blocks that may not be chosen."""
        teacher = torch.where(self.visible, self.scores + 5, torch.tensor(50.0, dtype=torch.float64))
        actual = losses.attend_losses(self.scores, self.landmarks, self.gold, self.visible, teacher)
        self.assertAlmostEqual(actual["attend_distillation"].item(), 0, 9)

    def test_nothing_to_find(self):
        """Also where no block may be chosen at all: 0 and no gradient, in float32 as in training."""
        scores = self.scores.float().requires_grad_()
        visible = self.visible.clone()
        visible[0] = False
        actual = losses.attend_losses(scores, self.landmarks.float(), torch.zeros_like(self.gold), visible, self.teacher.float())
        self.assertEqual({name: value.item() for name, value in actual.items()},
                         {"attend": 0, "attend_accuracy": 0, "attend_distillation": 0, "imitation": 0})
        (actual["attend"] + actual["attend_distillation"]).backward()
        self.assertEqual(scores.grad.abs().max().item(), 0)


if __name__ == "__main__":
    unittest.main()
