"""The fit of the ranking's weights: on questions whose right blocks were drawn by known weights, and from files to a model."""
import contextlib
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from train import gguf, rank  # noqa: E402

MODEL = f"{ROOT}/tests/golden/tiny-slot.gguf"
WEIGHTS = np.array([0.8, 1.5, 0.4, 2.0, -1.0, 0.0])


def draw(count, candidates=30, seed=0):
    """Questions whose right block is drawn from the softmax of WEIGHTS."""
    generator, out = np.random.default_rng(seed), []
    for number in range(count):
        features = generator.normal(size=(candidates, len(WEIGHTS)))
        powers = np.exp(features @ WEIGHTS)
        right = np.arange(candidates) == generator.choice(candidates, p=powers / powers.sum())
        out.append(rank.Question(features, np.arange(candidates), right, np.arange(candidates) < 25, f"title {number // 2}"))
    return out


class Ranking(unittest.TestCase):
    def test_finds_the_weights(self):
        questions = draw(3000)
        stack = rank.Stack(questions, list(range(6)), False)
        np.testing.assert_allclose(rank.fit(stack, 1e-6), WEIGHTS, atol=0.1)
        heavy = rank.fit(stack, 10)
        self.assertLess(np.abs(heavy[rank.HEADS:]).max(), 0.2)
        self.assertGreater(heavy[rank.LEXICAL], 0.5)  # only heads are penalised
        np.testing.assert_array_equal(heavy, rank.fit(stack, 10))

    def test_slope_vanishes(self):
        """At the weights found, no small change makes the penalised likelihood larger, also with several right blocks."""
        questions = draw(50)
        for question in questions[::3]:
            question.right[:4] = True
        stack, penalty = rank.Stack(questions, list(range(6)), False), 0.01
        weights, cost = rank.fit(stack, penalty), penalty / 2 * rank.deviations(stack) ** 2 * [0, 0, 0, 1, 1, 1]
        best = stack.likelihood(weights)[0] - cost @ weights ** 2
        for change in np.vstack((np.eye(6), -np.eye(6))) * 1e-3:
            moved = weights + change
            self.assertLess(stack.likelihood(moved)[0] - cost @ moved ** 2, best)

    def test_ranks(self):
        question = rank.Question(np.zeros((5, 2)), np.array([7, 7, 8, 9, 9]), np.array([0, 0, 0, 1, 0], bool), None, "")
        self.assertEqual(rank.rank_of(question, np.array([5, 4, 3, 2, 1.0])), 3)  # documents, not blocks
        self.assertEqual(rank.rank_of(question, np.array([5, 4, 3, 6, 1.0])), 1)
        self.assertEqual(rank.rank_of(question, np.array([1, 1, 1, -np.inf, 1.0])), None)
        self.assertEqual(rank.measure([question, question], lambda q: np.array([5, 4, 3, 2, 1.0])), (0, 1 / 3))

    def test_held_out_is_held_out(self):
        """Features that are pure noise help in sample, and not out of it; those that tell help in both."""
        generator, questions = np.random.default_rng(1), draw(30, seed=2)
        for question in questions:
            question.features = np.hstack((question.features, generator.normal(size=(30, 60))))
        with mock.patch.object(rank, "PENALTIES", (1e-6,)):
            rows = {name: values for name, *values in rank.table(questions, rank.make_fits(questions))}
        self.assertGreater(rows["all"][0], 0.9)
        self.assertLess(rows["all"][2], rows["all"][0] - 0.2)
        rows = {name: values for name, *values in rank.table(draw(600), rank.make_fits(draw(600)))}
        self.assertGreater(rows["all"][2], rows["weighted sum"][2] + 0.1)
        self.assertGreater(rows["weighted sum"][2], rows["without neighbours"][2])
        self.assertEqual(rows["sum"][0], rows["sum"][2])

    def test_attention_must_pay(self):
        """Heads of pure noise get no weights; one that tells does."""
        questions, generator = draw(200), np.random.default_rng(5)
        for question in questions:
            question.features[:, rank.HEADS:] = generator.normal(size=question.features[:, rank.HEADS:].shape)
        named = {name for name, _, _ in rank.keys_of(rank.make_fits(questions), questions)}
        self.assertEqual(named, {"landmark.rank.landmark", "landmark.rank.lexical", "landmark.rank.neighbourhood"})
        questions = draw(200)
        self.assertEqual([name for name, _, _ in rank.keys_of(rank.make_fits(questions), questions)], rank.KEYS)

    def test_paths(self):
        ids = {"a/b 1", "plain"}
        self.assertEqual(rank.passage_id("/x/a%2Fb%201.txt", ids), "a/b 1")
        self.assertEqual(rank.passage_id("/x/corpus.jsonl/a/b 1", ids), "a/b 1")
        self.assertEqual(rank.passage_id("/x/plain", ids), "plain")
        self.assertIsNone(rank.passage_id("/x/b 1", ids))

    def test_from_files_to_a_model(self):
        with tempfile.TemporaryDirectory() as folder:
            self.write_set(folder)
            shown = io.StringIO()
            command = ["rank", "fit", "--data", folder, "--features", f"{folder}/features", "--documents",
                       f"{folder}/documents", "--model", MODEL, "--out", f"{folder}/fitted.gguf"]
            with mock.patch.object(sys, "argv", command), contextlib.redirect_stdout(shown):
                rank.main()
            keys, tensors = gguf.read(f"{folder}/fitted.gguf")
            before, tensors_before = gguf.read(MODEL)
            with open(MODEL, "rb") as one, open(f"{folder}/fitted.gguf", "rb") as other:
                size = sum(t.nbytes for t in tensors.values())
                self.assertEqual(one.read()[-size:], other.read()[-size:])
            gguf.set_keys(f"{folder}/fitted.gguf", f"{folder}/fitted.gguf", [], drop=set(keys) - set(before))
            with open(MODEL, "rb") as one, open(f"{folder}/fitted.gguf", "rb") as other:
                self.assertEqual(one.read(), other.read())
        self.assertEqual({name: keys[name] for name in before}, before)
        self.assertEqual(len(keys["landmark.rank.attention"]), 8)
        self.assertEqual(len(keys["landmark.rank.attention_landmark"]), 8)
        self.assertGreater(keys["landmark.rank.attention"][3], 1)  # the head that tells
        self.assertEqual(tensors.keys(), tensors_before.keys())
        self.assertIn("61 questions, 60 with a right block", shown.getvalue())

    @staticmethod
    def write_set(folder):
        """60 questions about 30 passages, of which head 3 knows the right one, and one that found nothing."""
        rank.write_lines(f"{folder}/corpus.jsonl", [{"_id": f"p/{i}", "title": f"t{i}", "text": "x"} for i in range(30)])
        rank.write_lines(f"{folder}/documents", [{"id": i + 1, "path": f"/b/p%2F{i}.txt"} for i in range(30)])
        with open(f"{folder}/qrels.tsv", "w", encoding="utf-8") as out:
            out.write("query-id\tcorpus-id\tscore\n" + "".join(f"{q}\tp/{q % 30}\t1\n" for q in range(61)))
        generator, results = np.random.default_rng(3), []
        for q in range(60):
            candidates = []
            for i in range(30):
                heads = generator.normal(size=8)
                heads[3] += 4 * (i == q % 30)
                candidates.append({"document": i + 1, "landmark": generator.normal(), "landmark_z": generator.normal(),
                                   "lexical_z": generator.normal(), "neighbourhood": generator.normal(),
                                   "heads": None if i == (q + 1) % 30 else heads.tolist()})
            results.append({"id": str(q), "candidates": candidates})
        rank.write_lines(f"{folder}/features", results + [{"id": "60", "not_found": "nothing", "passages": []}])

    def test_convert(self):
        passages = [{"_id": f"a/{i}", "title": "T" * i, "passage": f"text {i}",
                     "qas": [{"question": f"q {i} {j}"} for j in range(2 + i)]} for i in range(2)]
        with tempfile.TemporaryDirectory() as folder:
            rank.write_lines(f"{folder}/qa", passages)
            for command in (["convert", "--qa", f"{folder}/qa", "--out", folder, "--limit", "3"],
                            ["texts", "--data", folder, "--out", f"{folder}/texts"]):
                with mock.patch.object(sys, "argv", ["rank"] + command):
                    rank.main()
            self.assertEqual([q["text"] for q in rank.read_lines(f"{folder}/queries.jsonl")], ["q 0 0", "q 1 0", "q 0 1"])
            self.assertEqual(rank.read_judgements(f"{folder}/qrels.tsv"), {"0": {"a/0"}, "1": {"a/1"}, "2": {"a/0"}})
            contents = {path.name: path.read_text(encoding="utf-8") for path in pathlib.Path(f"{folder}/texts").iterdir()}
        self.assertEqual(contents, {"a%2F0.txt": "text 0\n", "a%2F1.txt": "T\n\ntext 1\n"})


if __name__ == "__main__":
    unittest.main()
