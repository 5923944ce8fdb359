"""A whole run on a few texts: every loss that needs no teacher changes the weights, and one that is left out does not."""
import argparse
import json
import pathlib
import tempfile
import unittest

import numpy as np
import torch

from train import tokenizer, train
from train.config import load_config
from train.json_lines import each_line, write_lines
from train.model import LandmarkModel
from train.pack import document_blocks
from train.weights import named_weights

SAMPLES = pathlib.Path(__file__).parents[2] / "samples"
SHAPE = {"layers": 3, "width": 32, "heads": 2, "kv_heads": 1, "head_width": 16, "inner": 32, "vocabulary": 600,
         "memory_layers": [1, 2], "window": 128, "near_blocks": 2, "reach": 7}
STEP = {"natural": 1, "questions": 1, "synthetic": 1, "reread": 1, "blocks": 8, "prompts": 4, "prompt_rows": 64, "answer": 12,
        "stream": 8}
NEED_TEACHER = ("distillation", "attend_distillation")


class TestRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        text = (SAMPLES / "Lewis Carroll - Alice's Adventures in Wonderland.txt").read_text(encoding="utf-8")
        sample = f"{cls.folder}/sample.txt"
        pathlib.Path(sample).write_text(text, encoding="utf-8")
        tokenizer.train(sample, f"{cls.folder}/words", SHAPE["vocabulary"])
        words = tokenizer.load(f"{cls.folder}/words.model")
        np.save(f"{cls.folder}/part0.blocks.npy", document_blocks(words.encode(text)))
        np.save(f"{cls.folder}/part0.starts.npy", np.array([0]))
        paragraphs = [p.replace("\n", " ") for p in text.split("\n\n") if 200 < len(p) < 500][:12]
        write_lines(f"{cls.folder}/questions.jsonl", (
            {"source": "test", "title": "Alice", "text": paragraph,
             "qas": [{"question": f"What is in paragraph {number}?", "answers": [paragraph.split(" ")[3]]}]}
            for number, paragraph in enumerate(paragraphs)))
        cls.config = f"{cls.folder}/config.json"
        settings = {"warm_up": 1, "log_every": 1}
        pathlib.Path(cls.config).write_text(json.dumps({"shape": SHAPE, "step": STEP, "settings": settings}), encoding="utf-8")
        cls.with_none, _ = cls.run_without(*train.LOSSES)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def run_without(cls, *names):
        """One step -> (weights after it, the log's entries)"""
        out = tempfile.mkdtemp(dir=cls.folder)
        train.run(argparse.Namespace(
            config=cls.config, data=cls.folder, tokenizer=f"{cls.folder}/words.model", questions=f"{cls.folder}/questions.jsonl",
            out=out, pieces="", teacher="", synonyms="", resume="", seconds=600, end="", without=names, steps=1, workers=0,
            capacity=0, seed=1, profile="", eager=True, fused=False))
        return torch.load(f"{out}/final.pt")["weights"], list(each_line(f"{out}/log.jsonl"))

    def changed_by(self, *names):
        """Names of the weights that losses `names` change."""
        with_them, _ = self.run_without(*(name for name in train.LOSSES if name not in names))
        return {name for name, weight in self.with_none.items() if not torch.equal(weight, with_them[name])}

    def test_all_losses(self):
        weights, log = self.run_without()
        self.assertEqual(self.changed_by(*train.LOSSES), set(weights))
        self.assertEqual([entry.get("event") for entry in log], ["start", None, "end"])
        self.assertEqual(set(train.LOSSES) - set(log[1]), set(NEED_TEACHER))
        self.assertEqual((log[1]["number"], log[1]["skipped"]), (1, 0))

    def test_none_leaves_weight_decay(self):
        torch.manual_seed(1)
        shape, _, settings = load_config(self.config)
        before = dict(named_weights(LandmarkModel(shape, False, False)))
        for name, weight in self.with_none.items():
            kept = 1 - 0.1 * settings.muon_rate if name.startswith("blk.") and weight.dim() == 2 else 1
            self.assertTrue(torch.equal(weight, (before[name].detach() * kept).bfloat16()), name)

    def test_each_alone(self):
        for name in set(train.LOSSES) - set(NEED_TEACHER):
            with self.subTest(name):
                self.assertNotEqual(self.changed_by(name), set())


if __name__ == "__main__":
    unittest.main()
