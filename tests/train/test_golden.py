"""The trainer's model against the golden values of the executable specification (tests/golden)."""
import json
import os
import sys
import unittest

import numpy as np
import torch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from train import landmark_attention as attention  # noqa: E402
from train.weights import model_from_gguf  # noqa: E402

GOLDEN = os.path.join(ROOT, "tests", "golden")
TOLERANCE = 1e-3


def prompt_rows(ids, shape):
    """A landmark after every 63 tokens, nothing filled up."""
    out = []
    for i, token in enumerate(ids):
        out.append(token)
        if i % shape.block_size == shape.block_size - 1:
            out.append(shape.landmark)
    return out


class Golden(unittest.TestCase):
    def check(self, name):
        with open(f"{GOLDEN}/golden-{name}.json", encoding="utf-8") as file:
            golden = json.load(file)
        self.model, _ = model_from_gguf(f"{GOLDEN}/{name}.gguf")
        self.shape = self.model.shape
        with torch.no_grad():
            logits, states, _ = self.model(torch.tensor([golden["rows"]]))
            self.check_document(golden, logits[0], states)
            self.check_prompt(golden["question"], states, len(golden["rows"]) // self.shape.rows)

    def close(self, actual, expected, what):
        error = np.abs(np.asarray(actual, np.float64) - np.asarray(expected, np.float64)).max()
        self.assertLess(error, TOLERANCE, what)

    def close_top(self, logits, expected, what):
        self.close([logits[token] for token, _ in expected], [value for _, value in expected], what)

    def check_document(self, golden, logits, states):
        for row, expected in golden["logits"].items():
            self.close_top(logits[int(row)], expected, f"logits of row {row}")
        for layer, (_, keys, values) in states.items():
            for row, expected in golden["key_unrotated"][str(layer)].items():
                self.close(keys[0, int(row), 0, :8], expected, f"key, layer {layer}, row {row}")
            for row, expected in golden["value"][str(layer)].items():
                self.close(values[0, int(row), 0, :8], expected, f"value, layer {layer}, row {row}")
            for head, blocks in enumerate(golden["landmark_key_unrotated"][str(layer)]):
                for block, expected in zip(golden["landmark_blocks"], blocks):
                    row = block * self.shape.rows + self.shape.block_size
                    self.close(keys[0, row, head], expected, f"landmark key, layer {layer}, block {block}")

    def far_queries(self, states, length):
        table = attention.far_query_table(self.shape, length, 0)
        return {layer: attention.rotate(attention.heads_first(q), table)[0] for layer, (q, _, _) in states.items()}

    def pooled(self, states, rows):
        kept = torch.tensor(rows) != self.shape.landmark
        last = int(kept.nonzero()[-1])
        return {layer: (q[:, kept].mean(1) + q[:, last]).unflatten(0, (self.shape.kv_heads, -1)).sum(1)
                for layer, q in self.far_queries(states, len(rows)).items()}

    def joint_scores(self, pooled, states):
        scores = 0
        for layer, (_, keys, _) in states.items():
            landmarks = keys[0, self.shape.block_size::self.shape.rows]
            table = attention.rotary_table(torch.tensor([self.shape.block_size]), self.shape.head_width, self.shape.rotary_base)
            scores = scores + torch.einsum("gd,ngd->n", pooled[layer], attention.rotate(landmarks, table))
        return scores / self.shape.head_width ** 0.5

    def check_prompt(self, question, document, blocks):
        rows = prompt_rows(question["prompt_ids"], self.shape)
        at = len(rows) - 1 - (rows[-1] == self.shape.landmark)
        logits, states, _ = self.model(torch.tensor([rows]))
        self.close_top(logits[0, at], question["logits_last_without_memory"], "logits without memory")
        pooled = self.pooled(states, rows)
        for layer, expected in question["pooled_query"].items():
            self.close(pooled[int(layer)], expected, f"pooled query, layer {layer}")
        scores = self.joint_scores(pooled, document)
        self.close(scores, question["joint_scores"], "joint scores")
        chosen = sorted(scores.argsort(descending=True)[:8].tolist())
        self.assertEqual(chosen, question["chosen_blocks"])
        self.check_reading(question, document, rows, at, chosen, blocks)

    def check_reading(self, question, document, rows, at, chosen, blocks):
        def pick(x):
            return x.unflatten(1, (-1, self.shape.rows))[:, chosen].flatten(1, 2)
        memory = {layer: (pick(k), pick(v)) for layer, (_, k, v) in document.items()}
        slots = [j + 1 if block >= blocks - len(chosen) else j for j, block in enumerate(chosen)]
        logits, _, masses = self.model(torch.tensor([rows]), memory, slots)
        self.close_top(logits[0, at], question["logits_last_with_chosen_blocks"], "logits with memory")
        for layer, expected in question["landmark_mass_last"].items():
            self.close(masses[int(layer)][0, :, at].mean(0), expected, f"landmark mass, layer {layer}")

    def test_slot(self):
        self.check("tiny-slot")

    def test_slot_in_all_layers(self):
        self.check("tiny-slot-all")

    def test_stingy_in_all_layers(self):
        self.check("tiny-stingy-all")


if __name__ == "__main__":
    unittest.main()
