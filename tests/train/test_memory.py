"""Evaluations through the memory: pass key, answers, perplexity."""
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np
import torch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from train import checkpoint, evaluate, landmark_attention as attention, losses, passkey, perplexity, query  # noqa: E402
from train.config import Shape, load_config  # noqa: E402
from train.model import LandmarkModel  # noqa: E402
from train.tokenizer import load, train as train_tokenizer  # noqa: E402

CONFIG = f"{ROOT}/train/configs/tiny.json"
TEXT = ("The grey goose went to market with 12 eggs and 3 cakes.\nThere it met the miller, who asked for the eggs.\n"
        "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. 4 5 6 7 8 9 0\n"
        "The pass key is what? Remember it. Question: what is the pass key? Answer: the pass key is\n")


class WithTokenizer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kept = tempfile.TemporaryDirectory()
        cls.folder = cls.kept.name
        with open(f"{cls.folder}/sample", "w", encoding="utf-8") as out:
            out.write(TEXT * 60)
        with mock.patch.object(subprocess, "run", lambda *a, run=subprocess.run, **k: run(*a, **k, stderr=subprocess.DEVNULL)):
            train_tokenizer(f"{cls.folder}/sample", f"{cls.folder}/tokenizer", 400)
        cls.tokenizer = load(f"{cls.folder}/tokenizer.model")
        torch.manual_seed(0)
        shape = Shape(layers=3, width=32, heads=4, kv_heads=2, head_width=8, inner=48, vocabulary=400, memory_layers=(1, 2),
                      window=100, near_blocks=2, reach=4)
        cls.model = LandmarkModel(shape)
        for parameter in cls.model.parameters():
            parameter.data.mul_(2)

    @classmethod
    def tearDownClass(cls):
        cls.kept.cleanup()

    def rows(self, tokens):
        landmark = np.full((len(tokens), 1), self.model.shape.landmark)
        return torch.from_numpy(np.concatenate((tokens, landmark), 1).astype(np.int64)).flatten()[None]


class PassKey(WithTokenizer):
    def test_document(self):
        places = []
        for seed in range(30):
            blocks, number = passkey.document(self.tokenizer.encode, np.random.default_rng(seed), 1000)
            self.assertEqual((blocks.shape, blocks[0, 0]), ((15, 63), 2))
            self.assertTrue(1 <= number <= 50000)
            text = self.tokenizer.decode([5] + blocks.flatten().tolist()[1:]).strip()
            statement = f"\nThe pass key is {number}. Remember it. {number} is the pass key."
            self.assertEqual(text.count(statement), 1)
            self.assertTrue(text.startswith("There is an important info hidden inside a lot of irrelevant text."))
            self.assertGreater(text.count("The grass is green. The sky is blue."), 5)
            places.append(text.index(statement) / len(text))
        self.assertLess(min(places), 0.25)
        self.assertGreater(max(places), 0.75)

    def test_answers(self):
        """Blocks chosen and tokens continued by the naive forward pass of each document."""
        rng = np.random.default_rng(3)
        made = [passkey.document(self.tokenizer.encode, rng, 700)[0] for _ in range(3)]
        shape, prompt = self.model.shape, self.tokenizer.encode(passkey.QUESTION)
        pool, chosen = passkey.best_blocks(self.model, torch.cat([self.rows(t) for t in made]), prompt, torch.float32, 4)
        found = query.answers(self.model, [prompt] * 3, pool, chosen, torch.ones(3, 4, dtype=torch.bool), torch.float32, 5)
        for document, (tokens, blocks, ids) in enumerate(zip(made, chosen - 11 * torch.arange(3)[:, None], found)):
            with torch.no_grad():
                _, states, _ = self.model(self.rows(tokens))
                _, asked, _ = self.model(torch.tensor([prompt]))
                scores = 0
                for layer in shape.memory_layers:
                    table = attention.rotary_table(torch.arange(len(prompt)) + 128, 8, 10000.0)
                    queries = attention.rotate(asked[layer][0][0].transpose(0, 1), table)
                    keys = attention.rotate(states[layer][1][0, 63::64].transpose(0, 1), attention.rotary_table(torch.tensor([63]), 8, 10000.0))
                    pooled = (queries.mean(1) + queries[:, -1]).unflatten(0, (2, 2)).sum(1)
                    scores = scores + torch.einsum("gd,gnd->n", pooled, keys)
                self.assertEqual(sorted(blocks.tolist()), sorted(scores.topk(4).indices.tolist()))
                memory = {layer: tuple(x.unflatten(1, (-1, 64))[:, blocks].flatten(1, 2) for x in s[1:]) for layer, s in states.items()}
                expected = list(prompt)
                for _ in range(5):
                    expected.append(int(self.model(torch.tensor([expected]), memory)[0][0, -1].argmax()))
            self.assertEqual(ids, query.up_to_end(expected[len(prompt):]))

    def test_right_answers(self):
        made = [passkey.document(self.tokenizer.encode, np.random.default_rng(i), 300) for i in range(4)]
        said = [f" {made[0][1]}. Remember it", f"{made[1][1]}9", "no", f"is {made[3][1]}"]
        with mock.patch.object(passkey, "answers", lambda *_: [self.tokenizer.encode(text) for text in said]):
            self.assertEqual(passkey.right_answers(self.model, self.tokenizer, made, torch.float32, 4), 2)

    def test_interval(self):
        self.assertEqual(passkey.wilson(50, 50), [92.9, 100.0])
        self.assertEqual(passkey.wilson(5, 10), [23.7, 76.3])

    def test_table(self):
        with mock.patch.object(passkey, "right_answers", lambda model, tokenizer, made, *_: len(made) - 1):
            rows = list(passkey.passkey(self.model, self.tokenizer, [300, 500], 20, 4, torch.float32))
        self.assertEqual([(row["tokens"], row["right"]) for row in rows], [(300, 18), (500, 18)])


class Perplexity(WithTokenizer):
    def test_losses(self):
        """Local only and within reach, against the naive forward pass."""
        blocks = np.random.default_rng(0).integers(6, 400, size=(2, 8, 63)).astype(np.uint16)
        for reads, change in (({"reach": 1}, {"reach": 1}), ({}, {}), ({"reach": 8, "best": 8}, {"reach": 8})):
            found = perplexity.slice_losses(self.model, blocks, torch.float32, 1, **reads)
            naive = LandmarkModel(Shape(**{**self.model.shape.__dict__, **change}))
            naive.load_state_dict(self.model.state_dict())
            for tokens, mean in zip(blocks, found):
                with torch.no_grad():
                    logits = naive(self.rows(tokens))[0][0].log_softmax(-1)
                flat, at = tokens.flatten().astype(int), [i // 63 * 64 + i % 63 for i in range(8 * 63)]
                each = [-float(logits[at[i], flat[i + 1]]) for i in range(8 * 63 - 1)]
                self.assertAlmostEqual(mean[0], np.mean(each), 4)
                self.assertAlmostEqual(mean[1], np.mean(each[4 * 63:]), 4)

    def test_best_is_fewer(self):
        blocks = np.random.default_rng(0).integers(6, 400, size=(1, 12, 63)).astype(np.uint16)
        one, two, all_ = (perplexity.slice_losses(self.model, blocks, torch.float32, 1, reach=12, best=b)[0, 0] for b in (1, 2, 12))
        self.assertNotEqual(one, two)
        self.assertNotEqual(two, all_)

    def test_change(self):
        """Two books of which one has three texts: books count alike."""
        baseline = np.array([2.0, 2.0, 2.0, 3.0])
        found = baseline - np.log([1.1, 1.1, 1.1, 1.21])
        change, half = perplexity.against(found, baseline, np.array([0, 0, 0, 1]))
        self.assertAlmostEqual(change, 100 * (1.1 ** -1.5 - 1), 2)
        self.assertAlmostEqual(half, 196 * 1.1 ** -1.5 * np.log(1.1) / 2 / 2 ** 0.5, 1)

    def test_table(self):
        text = " ".join(str(i) for i in range(3000))
        with open(f"{self.folder}/books-0.dev.jsonl", "w", encoding="utf-8") as out:
            for content in (text, "too short", text[4000:]):
                print(json.dumps({"title": "", "text": content}), file=out)
        slices, owners = perplexity.book_slices(self.folder, self.tokenizer.encode, 10, 3)
        self.assertEqual((slices.shape, owners.tolist()), ((6, 10, 63), [0] * 3 + [2] * 3))
        ids = self.tokenizer.encode(text)
        self.assertEqual(slices[0].flatten().tolist(), [2] + ids[:629])
        self.assertEqual(slices[2].flatten().tolist(), [2] + ids[-629:])
        table = perplexity.perplexity(self.model, self.folder, self.tokenizer.encode, torch.float32, blocks=8)
        self.assertEqual(table["local"]["change %"], (0.0, 0.0))
        self.assertEqual((table["books"], table["texts"]), (2, 16))
        self.assertGreater(table["memory, k = 4"]["perplexity"], 1)


class Answers(WithTokenizer):
    NAMES = "Anna Bert Carla Dora Emil Fritz Gert Hans Ida Jan Kurt Lena Max Nora Otto Paul".split()

    def write_passages(self, count):
        """Passages, each of more than a block, about another number."""
        with open(f"{self.folder}/qa-train.dev.jsonl", "w", encoding="utf-8") as out:
            for i in range(count):
                text = f"{TEXT[:150]} {self.NAMES[i % 16]} {i} gave {i * 7919 % 99991} eggs to the miller. {TEXT[150:300]}"
                asked = [{"question": f"Who met {self.NAMES[i % 16]} {i}?", "answers": ["nobody"]},
                         {"question": f"How many eggs of {self.NAMES[i % 16]} {i}?", "answers": [f"{i * 7919 % 99991} eggs", "none"]}]
                print(json.dumps({"source": "squad-split", "title": str(i), "text": text, "qas": asked}), file=out)

    def run_evaluate(self, *only):
        with open(CONFIG, encoding="utf-8") as file:
            config = json.load(file)
        config["shape"].update(vocabulary=400, width=32, heads=2, inner=32)
        with open(f"{self.folder}/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)
        shape, _, _ = load_config(f"{self.folder}/config.json")
        torch.manual_seed(0)
        checkpoint.save(f"{self.folder}/x.pt", LandmarkModel(shape))
        arguments = ["evaluate", "--config", f"{self.folder}/config.json", "--checkpoint", f"{self.folder}/x.pt", "--tokenizer",
                     f"{self.folder}/tokenizer.model", "--text", self.folder, "--out", f"{self.folder}/out.json", "--ask", "40",
                     "--blocks", "100", "--quick", "--only", *only]
        with mock.patch.object(sys, "argv", arguments), contextlib.redirect_stdout(io.StringIO()):
            evaluate.main()
        with open(f"{self.folder}/out.json", encoding="utf-8") as file:
            return json.load(file)

    def test_blocks_that_are_read(self):
        """A reader that knows the blocks' tokens: it answers whatever numbers of eggs stand in them."""
        self.write_passages(150)

        def index(trainer, collection):
            for tokens in collection.contexts:
                yield torch.from_numpy(tokens.astype(np.float32)), {0: {"k": torch.from_numpy(tokens.astype(np.int64)), "v": torch.zeros(32)}}

        def read(model, prompts, pool, chosen, visible, *_):
            out = []
            for prompt, blocks, seen in zip(prompts, chosen, visible):
                text = self.tokenizer.decode(pool[0]["k"][blocks[seen]].flatten().tolist())
                name = self.tokenizer.decode(prompt).split(" of ")[1].split("?")[0]
                after = text.split(f"{name} gave ")
                out.append(self.tokenizer.encode(after[1].split(" to ")[0]) if len(after) > 1 else [])
            return out

        def scores(trainer, asked, tokenizer, keys):
            """The best blocks are the first eight of the collection."""
            return -torch.arange(len(keys)).float().repeat(len(asked), 1)

        def attention(trainer, asked, tokenizer, keys, candidates):
            return np.zeros((*candidates.shape, 1, 1), np.float32)

        def read_again(model, documents, dtype):
            """Sure of what it finds, and otherwise as sure that there is nothing, or a little less sure of a guess."""
            out = []
            for number, ids in enumerate(documents):
                text = self.tokenizer.decode(ids)
                name = text.split(" of ")[-1].split("?")[0]
                after = text.split(f"{name} gave ")
                guess = ([], -1.0) if number % 2 else (self.tokenizer.encode("a guess"), -2.0)
                out.append((self.tokenizer.encode(after[1].split(" to ")[0]), -1.5) if len(after) > 1 else guess)
            return out
        with mock.patch.multiple(evaluate, index_collection=index, answers=read, landmark_scores=scores,
                                 attention_features=attention), mock.patch.object(evaluate.reread, "read", read_again):
            tables = self.run_evaluate("answers")
        whole = tables["answers, passage in 2,048 tokens, from memory"]
        self.assertEqual(whole["questions"], 40)
        self.assertEqual((whole["exact match"], whole["F1"]), ([100.0, 0.0], [100.0, 0.0]))
        best, surest = (tables["answers, passage in 2,048 tokens, " + way]["F1"][0]
                        for way in ("the best text again", "the surest of 3 texts"))
        self.assertGreater(best, 50)      # its block is the first by the question's words for most
        self.assertGreater(surest, best)
        first = next(table for name, table in tables.items() if name.endswith("landmark, from memory"))
        share = first["passage among them"][0]
        self.assertTrue(0 < share < 30, share)
        self.assertEqual(first["F1"][0], first["of these"]["F1"][0] * share / 100)
        lexical = next(table for name, table in tables.items() if name.endswith("bm25, from memory"))
        self.assertGreater(lexical["F1"][0], first["F1"][0])

    def test_whole(self):
        """With a random model: everything runs, and retrieval finds what it is asked for with words alone."""
        self.write_passages(6)
        tables = self.run_evaluate("answers", "retrieval")
        self.assertEqual(tables["answers, passage in 2,048 tokens, the best text again"]["questions"], 6)
        self.assertEqual(tables["retrieval, packed"]["questions"], 12)
        self.assertGreater(tables["retrieval, packed"]["bm25"]["R@20"][0], 0.9)

    def test_f1(self):
        self.assertEqual(evaluate.compare("The eggs!", ["nothing", "eggs"]), (1.0, 1.0))
        match, f1 = evaluate.compare("three eggs", ["an apple", "three green eggs"])
        self.assertEqual(match, 0.0)
        self.assertAlmostEqual(f1, 0.8)
        self.assertEqual(evaluate.with_interval([0, 1, 1, 1]), (75.0, 42.44))

    def test_prompt(self):
        encode = self.tokenizer.encode
        short = evaluate.prompt_ids(encode, "What?", 30)
        self.assertEqual(short, encode("Question: What?") + [5] + encode("Answer:"))
        long = evaluate.prompt_ids(encode, "What? " * 50, 30)
        self.assertEqual((len(long), long[-len(encode("Answer:")):]), (29, encode("Answer:")))


if __name__ == "__main__":
    unittest.main()
