"""Several processes of a run: gradients, decisions, shares of the contexts."""
import multiprocessing
import os
import sys
import tempfile
import unittest

import numpy as np
import torch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from train.feed import Contexts  # noqa: E402
from train.parallel import Group  # noqa: E402


def process(rank, port, folder, results):
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    group = Group()
    given, missing = torch.nn.Parameter(torch.full((2, 3), float(rank))), torch.nn.Parameter(torch.zeros(4))
    group.same_weights([given, missing])
    started = given.tolist()
    given.grad = torch.arange(6.0).view(2, 3) + 10 * rank
    missing.grad = torch.ones(4) if rank else None
    norm = group.average_gradients([given, missing]).item()
    averaged = [given.grad.tolist(), missing.grad.tolist()]
    given.grad = torch.full((2, 3), float("nan") if rank else 1.0)
    group.average_gradients([given, missing])
    decided = group.first_decides([float(rank), 7.0 - rank])
    contexts = Contexts(folder, 4, group, seed=3)
    seen = [contexts.next() for _ in range(2 * len(contexts.queue))]
    # plain numbers: a tensor would be passed through memory that goes with its process
    sums = [given.grad.abs().sum().item(), missing.grad.abs().sum().item()]
    results.put((rank, started, norm, averaged, sums, decided, seen))
    group.close()


class Parallel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            np.save(f"{folder}/part0.blocks.npy", np.zeros((23, 63), np.uint16))
            np.save(f"{folder}/part0.starts.npy", np.array([0]))
            context = multiprocessing.get_context("spawn")
            results = context.SimpleQueue()
            port = 20000 + os.getpid() % 20000
            running = [context.Process(target=process, args=(rank, port, folder, results)) for rank in range(2)]
            for one in running:
                one.start()
            cls.results = sorted((results.get() for _ in running), key=lambda r: r[0])
            for one in running:
                one.join()

    def test_gradients_are_averaged(self):
        for _, started, norm, (given, missing), _, _, _ in self.results:
            self.assertEqual(started, [[0.0] * 3] * 2)
            self.assertEqual(given, [[5.0, 6.0, 7.0], [8.0, 9.0, 10.0]])
            self.assertEqual(missing, [0.5] * 4)
            self.assertAlmostEqual(norm, (sum((i + 5.0) ** 2 for i in range(6)) + 4 * 0.25) ** 0.5, 4)

    def test_what_is_not_finite_in_one_counts_in_none(self):
        for _, _, _, _, sums, _, _ in self.results:
            self.assertEqual(sums, [0.0, 0.0])

    def test_the_first_decides(self):
        self.assertEqual([result[5] for result in self.results], [[0.0, 7.0]] * 2)

    def test_contexts_are_shared_out(self):
        """Five whole contexts of four blocks: three for one process, two for the other, each twice in two rounds."""
        shares = [sorted(result[6]) for result in self.results]
        self.assertEqual(shares, [[(0, i) for i in (0, 2, 4) for _ in range(2)], [(0, i) for i in (1, 3) for _ in range(2)]])


if __name__ == "__main__":
    unittest.main()
