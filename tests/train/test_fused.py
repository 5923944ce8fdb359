"""The fused attention against the naive one in float64: output, own block's log-sum-exp, gradients.

On a GPU if there is one, otherwise in Triton's interpreter."""
import contextlib
import io
import math
import os
import sys
import unittest
from unittest import mock

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from train import landmark_attention as attention  # noqa: E402
from train.config import Shape  # noqa: E402
from train.model import LandmarkModel  # noqa: E402

try:
    import triton
except ImportError:
    triton = None
if triton:
    from train import bench_attention, fused_attention  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def tables_of(shape, length):
    position = torch.arange(length)
    offset = position % shape.rows
    return {kind: tuple(t.to(DEVICE) for t in attention.rotary_table(at, shape.head_width, shape.rotary_base))
            for kind, at in (("true", position), ("offset", offset), ("far_query", offset + shape.far))}


def naive(q, k, v, documents, shape):
    """One document after another, with the log-sum-exp of each row's own block [B, H, T]."""
    outputs, own = [], []
    for sequence, numbers in enumerate(documents.tolist()):
        rows = []
        for number in sorted(set(numbers)):
            at = [i for i, n in enumerate(numbers) if n == number]
            assert at == list(range(at[0], at[-1] + 1))
            part = slice(at[0] * shape.rows, (at[-1] + 1) * shape.rows)
            out, _ = attention.grouped_attention_naive(*(x[sequence:sequence + 1, part] for x in (q, k, v)), shape)
            rows.append((at[0], out[0]))
        outputs.append(torch.cat([out for _, out in sorted(rows, key=lambda pair: pair[0])]))
        sums = []
        for block in range(len(numbers)):
            part = slice(block * shape.rows, (block + 1) * shape.rows)
            # rotation changes no score but by the distance
            table = attention.rotary_table(torch.arange(shape.rows), shape.head_width, shape.rotary_base)
            qs, ks = (attention.rotate(x[sequence, part].transpose(0, 1).float(), table).to(x.dtype) for x in (q, k))
            scores = qs @ ks.repeat_interleave(shape.heads // shape.kv_heads, 0).transpose(1, 2) / shape.head_width ** 0.5
            seen = torch.ones(shape.rows, shape.rows).tril().bool()
            seen[:, -1] = False
            sums.append(scores.masked_fill(~seen, float("-inf")).logsumexp(-1))
        own.append(torch.cat(sums, -1))
    return torch.stack(outputs), torch.stack(own)


def blockwise(q, k, v, documents, shape):
    tables = {kind: tuple(t.cpu() for t in table) for kind, table in tables_of(shape, q.shape[1]).items()}
    out, own = attention.grouped_attention(q, k, v, tables, documents, shape)
    return out, own.flatten(1, 2)


@unittest.skipUnless(triton, "the fused attention needs Triton, which is not installed")
class Fused(unittest.TestCase):
    def compare(self, documents, dtype=torch.float32, allowed=2e-5, reference=naive, **shape):
        shape = Shape(block_size=15, **{"heads": 4, "kv_heads": 2, "head_width": 16, **shape})
        documents = torch.tensor(documents)
        batch, length = len(documents), documents.shape[1] * shape.rows
        generator = torch.Generator().manual_seed(0)
        inputs = [torch.randn(batch, length, heads, shape.head_width, generator=generator).to(dtype)
                  for heads in (shape.heads, shape.kv_heads, shape.kv_heads)]
        inputs[:2] = [1.5 * x for x in inputs[:2]]
        d_out = torch.randn(batch, length, shape.heads, shape.head_width, generator=generator)
        d_own = torch.randn(batch, shape.heads, length, generator=generator)

        exact = [x.double().requires_grad_() for x in inputs]
        out, own = reference(*exact, documents, shape)
        ((out * d_out).sum() + (own * d_own).sum()).backward()
        expected = [out, own, *(x.grad for x in exact)]

        fused = [x.to(DEVICE).requires_grad_() for x in inputs]
        out, own = fused_attention.grouped_attention(*fused, tables_of(shape, length), documents.to(DEVICE), shape)
        self.assertEqual(own.shape, (batch, shape.kv_heads, shape.heads // shape.kv_heads, length))
        own = own.flatten(1, 2)
        ((out * d_out.to(DEVICE)).sum() + (own * d_own.to(DEVICE)).sum()).backward()
        for name, a, b in zip(("out", "own", "q", "k", "v"), [out, own, *(x.grad for x in fused)], expected):
            error = ((a.cpu().double() - b).norm() / b.norm()).item()
            self.assertLess(error, allowed, name)

    def test_two_heads_together(self):
        self.compare([[0, 0, 0, 1, 1, 1, 1], [2] * 7], near_blocks=3, reach=5)

    def test_one_head_at_a_time(self):
        self.compare([[0] * 5], heads=3, kv_heads=3, near_blocks=2, reach=31)

    def test_three_heads_a_key(self):
        self.compare([[0] * 4], heads=3, kv_heads=1, head_width=32, near_blocks=1, reach=2)

    def test_documents_that_return(self):
        """Blocks of other documents lie between a document's; the naive version has one document only."""
        self.compare([[0, 1, 0, 0, 1, 1, 0]], reference=blockwise, near_blocks=2, reach=5)

    def test_no_far_block(self):
        self.compare([[0] * 4], near_blocks=4, reach=2)

    def test_single_block(self):
        self.compare([[0]], near_blocks=4, reach=31)

    def test_half_precision(self):
        """The interpreter has no products in bfloat16."""
        dtype, allowed = (torch.bfloat16, 2e-2) if DEVICE == "cuda" else (torch.float16, 2e-3)
        self.compare([[0, 1, 1, 1, 1, 1]], dtype, allowed, near_blocks=2, reach=4)

    def test_same_bits(self):
        """Gradients are summed in one order."""
        shape = Shape(block_size=15, heads=4, kv_heads=1, head_width=16, near_blocks=2, reach=4)
        generator = torch.Generator().manual_seed(0)
        inputs = [torch.randn(1, 6 * 16, heads, 16, generator=generator, device="cpu").to(DEVICE).requires_grad_()
                  for heads in (4, 1, 1)]
        seen = []
        for _ in range(2):
            out, own = fused_attention.grouped_attention(*inputs, tables_of(shape, 6 * 16),
                                                         torch.zeros(1, 6, dtype=torch.int64, device=DEVICE), shape)
            seen.append(torch.autograd.grad(out.square().sum() + own.sum(), inputs))
        for a, b in zip(*seen):
            self.assertTrue(torch.equal(a, b))

    def test_model(self):
        """The whole model, with and without the kernels."""
        shape = Shape(layers=2, width=32, heads=2, kv_heads=1, head_width=16, inner=48, vocabulary=97, block_size=15,
                      memory_layers=(0, 1), window=16, near_blocks=2, reach=3)
        rows = torch.randint(5, shape.vocabulary, (2, 5 * 16), generator=torch.Generator().manual_seed(0)).to(DEVICE)
        documents = torch.tensor([[0, 0, 1, 1, 1], [2] * 5], device=DEVICE)
        torch.manual_seed(0)
        plain, fused = LandmarkModel(shape).to(DEVICE), LandmarkModel(shape, fused=True).to(DEVICE)
        fused.load_state_dict(plain.state_dict())
        for model in (plain, fused):
            h, memory = model.run_documents(rows, documents, torch.float32)
            self.assertEqual(memory[1]["own"].shape, (2, 1, 2, 5 * 16))
            (model.logits(h).logsumexp(-1).square().sum() + memory[1]["own"].square().sum()).backward()
        for (name, a), b in zip(fused.named_parameters(), plain.parameters()):
            self.assertLess(((a.grad - b.grad).norm() / b.grad.norm()).item(), 1e-4, name)

    def test_shapes_that_do_not_fit(self):
        with self.assertRaisesRegex(ValueError, "block_size"):
            fused_attention.check(Shape(block_size=20))
        with self.assertRaisesRegex(ValueError, "head_width"):
            fused_attention.check(Shape(head_width=48))
        with self.assertRaisesRegex(ValueError, "slot"):
            fused_attention.check(Shape(slot=False))
        fused_attention.check(Shape())

    def test_benchmark_that_is_cut(self):
        """Every row is printed before the next is measured."""
        found = [(1.5, 4.256, 2720.4), torch.cuda.OutOfMemoryError(), KeyboardInterrupt()]
        with mock.patch.object(bench_attention, "versions", lambda shape: {"one": None, "other": None}), \
                mock.patch.object(bench_attention, "measure", side_effect=found), \
                contextlib.redirect_stdout(io.StringIO()) as printed, self.assertRaises(KeyboardInterrupt):
            bench_attention.table(Shape(), (2048, 4096), math.inf)
        rows = [[cell.strip() for cell in line.strip("|").split("|")]
                for line in printed.getvalue().splitlines() if line.startswith("|")]
        self.assertEqual(rows[2:], [["one", "2,048", "1.50", "4.26", "2,720"], ["one", "4,096", "out of memory", "", ""]])
        self.assertEqual([len(row) for row in rows[:2]], [5, 5])


if __name__ == "__main__":
    unittest.main()
