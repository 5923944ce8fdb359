"""Normalisation vectors, GGUF round trips, targets and bit masks."""
import json
import os
import re
import sys
import tempfile
import unittest
import zlib

import numpy as np
import torch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from train import data, gguf, losses, tasks  # noqa: E402
from train.config import Shape  # noqa: E402
from train.normalise import normalise  # noqa: E402
from train.pack import BLOCK, deal, document_blocks  # noqa: E402


class Parts(unittest.TestCase):
    def test_normalise(self):
        with open(f"{ROOT}/tests/golden/normalise.jsonl", encoding="utf-8") as vectors:
            for line in vectors:
                vector = json.loads(line)
                self.assertEqual(normalise(vector["source"]), vector["normalised"])

    def test_gguf(self):
        generator = np.random.default_rng(0)
        matrix = generator.normal(size=(6, 64)).astype(np.float32)
        keys = [("name", gguf.STRING, "a"), ("many", (gguf.ARRAY, gguf.UINT32), [1, 2]), ("yes", gguf.BOOL, True)]
        with tempfile.TemporaryDirectory() as folder:
            gguf.write(f"{folder}/x.gguf", keys, [("exact", matrix[0], gguf.F32), ("rounded", matrix, gguf.Q8_0)])
            read, tensors = gguf.read(f"{folder}/x.gguf")
        self.assertEqual(read, {"name": "a", "many": [1, 2], "yes": True})
        np.testing.assert_array_equal(tensors["exact"], matrix[0])
        step = np.abs(matrix.reshape(-1, 32)).max(1) / 127
        error = np.abs(tensors["rounded"] - matrix).reshape(-1, 32).max(1)
        self.assertTrue((error <= 0.51 * step + 127 * step / 1024).all())
        self.assertGreater(error.max(), 0)

    def test_targets(self):
        """Two documents of one and two blocks of three tokens; the last is filled up."""
        shape = Shape(block_size=3, landmark=4)
        rows = torch.tensor([[2, 10, 11, 4, 2, 12, 13, 4, 14, 0, 0, 4]])
        nothing = losses.IGNORED
        self.assertEqual(losses.next_tokens(rows, torch.tensor([[0, 1, 1]]), shape).tolist(),
                         [[10, 11, nothing, nothing, 12, 13, 14, nothing, nothing, nothing, nothing, nothing]])

    def test_blocks(self):
        blocks = document_blocks(range(6, 6 + BLOCK))
        self.assertEqual(blocks.shape, (2, BLOCK))
        self.assertEqual(blocks[0, :2].tolist() + blocks[1, :2].tolist(), [2, 6, 5 + BLOCK, 0])

    def test_deal_keeps_documents_whole(self):
        blocks = np.arange(10)[:, None].repeat(BLOCK, 1).astype(np.uint16)
        parts = deal(blocks, np.array([0, 3, 4, 8]), [4, 100])
        documents = []
        for part, starts in parts:
            ends = list(starts[1:]) + [len(part)]
            documents += [part[a:b, 0].tolist() for a, b in zip(starts, ends)]
        self.assertEqual(sorted(documents), [[0, 1, 2], [3], [4, 5, 6, 7], [8, 9]])

    def test_bits(self):
        self.assertEqual(np.flatnonzero(tasks.unpack(tasks.bits({0, 5, 31}), 32)).tolist(), [0, 5, 31])

    def test_occurrences(self):
        """Of 7 8 in blocks 0 and 2 of three: at the end of a block, across its end, and not in block 1."""
        tokens = np.zeros((3, BLOCK), np.uint16)
        flat = tokens.reshape(-1)
        for at in (3, BLOCK - 2, BLOCK + 5, 2 * BLOCK - 1, 3 * BLOCK - 2):
            flat[at:at + 2] = 7, 8
        flat[10], flat[3 * BLOCK - 4] = 7, 7
        self.assertEqual(data.occurrences(tokens, [7, 8], 0b101).tolist(), [3, BLOCK - 2, 3 * BLOCK - 2])
        self.assertEqual(data.occurrences(tokens, [7, 8], 0b010).tolist(), [BLOCK + 5, 2 * BLOCK - 1])
        self.assertEqual(len(data.occurrences(tokens, [], 0b111)), 0)


class Synthetic(unittest.TestCase):
    """Tasks are written where the prompts say; checked with a tokenizer of one token a word."""

    class Maker:
        class step:
            prompts, prompt_rows, answer = 8, 48, 12
        class tokenizer:
            @staticmethod
            def vocab_size():
                return 1000
        starts_word, synonyms, openings = np.ones(70000, bool), {}, {}
        answer = [5, 6]

        @staticmethod
        def encode(text):
            return [6 + zlib.crc32(word.encode()) % 500 for word in re.findall(r"\w+|[^\w\s]", text)]

        def prompt_ids(self, text):
            return self.encode(text)

        @staticmethod
        def decode(ids):
            return "text"

    def test_spans_to_ask_for(self):
        words = "there the old ship of Captain John Silver sailed in 1750 to Bristol. Nobody saw Ben Gunn, who laughed".split()
        found = [" ".join(words[first:end]) for first, end in tasks.answer_spans(words)]
        self.assertEqual(found, ["Captain John Silver", "1750", "Bristol.", "Ben Gunn,"])

    def test_question_word_fits_the_answer(self):
        rng = np.random.default_rng(0)
        words = "they sailed in 1750 with 12 cannons to Bristol".split()
        some = lambda at, openings=None: {tasks.question_word(rng, words, at, openings) for _ in range(60)}
        self.assertEqual(some(3), {"When", "In what year", "In which year"})
        self.assertEqual(some(5), {"How many", "What number", "How much"})
        self.assertTrue({"Where", "Who"} <= some(8))
        self.assertEqual(some(8, ["In which city", "Where"]), {"In which city", "Where"})

    def test_question_is_made_of_the_answers_sentence(self):
        sentence = "before it . the old ship of Captain Silver sailed with many brave sailors . then came the storm at last"

        class Maker(self.Maker):
            decode = staticmethod(lambda ids: " x " + sentence + " y")
            encode = staticmethod(str.split)
            prompt_ids = staticmethod(str.split)

        class Knowing(Maker):
            openings = {"Captain Silver": ["Under whose command"]}

        known = tasks.asked(Knowing(), np.random.default_rng(0), np.zeros(BLOCK))[3]
        self.assertTrue(known.lower().startswith("under whose command "))
        for seed in range(20):
            kind, ids, answer, text, _ = tasks.asked(Maker(), np.random.default_rng(seed), np.zeros(BLOCK))
            self.assertEqual((kind, [word.lower() for word in answer]), ("asked", ["captain", "silver"]))
            self.assertEqual(ids, text.split())
            rest = set(text.lower().strip("?").split()) - {"who", "what", "which", "person"}
            self.assertLessEqual(rest, set("the old ship of sailed with many brave sailors".split()))
            self.assertGreaterEqual(len(rest), 4)

    def test_answers_of_a_share_of_the_real_questions(self):
        record = {"text": "the ship sailed to Bristol in May", "qas": [{"question": "where to ?", "answers": ["Bristol"]}]}
        answered = {}
        for share, retold in ((0.0, False), (0.5, False), (1.0, False), (0.0, True)):
            maker = data.Maker.__new__(data.Maker)
            maker.step, maker.encode, maker.answer, maker.synonyms = data.StepShape(answered=share), self.Maker.encode, [5, 6], {}
            rng = np.random.default_rng(1)
            prompts = [p for _ in range(50) for p in maker._questions(rng, [(record, 61, 7, retold)])]
            self.assertEqual({p.find for p in prompts}, {0b11})    # tokens 61 to 67
            self.assertEqual({p.read for p in prompts if p.answer} | {0b10}, {0b10})   # the answer is token 65
            answered[share, retold] = sum(bool(p.answer) for p in prompts) / len(prompts)
        self.assertEqual((answered[0.0, False], answered[1.0, False], answered[0.0, True]), (0, 1, 1))
        self.assertAlmostEqual(answered[0.5, False], 0.5, delta=0.15)

    def test_copies_have_a_source(self):
        for seed in range(20):
            rng = np.random.default_rng(seed)
            tokens, prompts, stream = tasks.synthetic(self.Maker(), rng, rng.integers(600, 900, size=(32, BLOCK)).astype(np.uint16))
            rows = np.concatenate((tokens, np.full((32, 1), 4)), 1).reshape(-1)
            for at, gold in stream:
                self.assertGreaterEqual(at // 64 - gold, tasks.NEAR - 1)
                self.assertIn(rows[at + 1], tokens[gold])
            for prompt in prompts:
                if prompt.answer:
                    block = int(prompt.read).bit_length() - 1
                    self.assertEqual(prompt.read, 1 << block)
                    self.assertTrue(set(prompt.answer) <= set(tokens[block].tolist()))


if __name__ == "__main__":
    unittest.main()
