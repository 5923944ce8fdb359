"""The threshold of answers: the lowest that the share asked for stays below, as the engine compares, and its way into a model."""
import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from train import gguf, threshold  # noqa: E402

MODEL = f"{ROOT}/tests/golden/tiny-slot.gguf"


class Threshold(unittest.TestCase):
    def test_by_hand(self):
        """Of ten, one may be answered: the second must not, by however little."""
        ten = np.array([.1, .2, .3, .9, .5, .7, .4, .6, .05, -1])
        found = threshold.fit(ten, 0.1)
        self.assertEqual(found, float(np.nextafter(np.float32(.7), np.float32(1))))
        self.assertEqual((ten >= found).sum(), 1)
        self.assertEqual((ten >= threshold.fit(ten, 0.25)).sum(), 2)
        self.assertEqual(threshold.fit(ten, 1), 0)
        self.assertLess(threshold.fit(np.array([-1, -1, .5]), 0.4), 1e-6)  # nothing else was written
        self.assertEqual(threshold.fit(np.ones(10), 0.1), 1)

    def test_shares(self):
        right = np.array([True, True, False, False])
        self.assertEqual(threshold.shares(.5, np.array([.6, .4, .9, .1]), right, np.array([.5, .2])), (.25, .25, .5))

    def test_held_out(self):
        """What is drawn from one distribution stays near the share, and is never fitted on itself."""
        generator = np.random.default_rng(0)
        drawn = generator.uniform(size=2000)
        self.assertAlmostEqual(threshold.held_out(drawn, drawn > .5, drawn, .1)[2], .1, delta=.02)
        sure = np.arange(10) % threshold.FOLDS == 0  # the first part alone is sure
        self.assertEqual(threshold.held_out(sure * 1.0, sure, sure * .9, .1)[2], 1 / threshold.FOLDS)

    def test_from_files_to_a_model(self):
        with tempfile.TemporaryDirectory() as folder:
            for number in range(2):
                answers = {"answerable": [{"confidence": .5, "right": True}, {"confidence": None, "right": False}],
                           "unanswerable": [{"confidence": .25 * number, "right": False}, {"confidence": None, "right": False}]}
                with open(f"{folder}/{number}.json", "w", encoding="utf-8") as out:
                    json.dump({"answers": answers}, out)
            gguf.set_keys(MODEL, f"{folder}/start.gguf", [("landmark.answer.texts", gguf.UINT32, 3)])
            shown = io.StringIO()
            command = ["threshold", "--answers", f"{folder}/0.json", f"{folder}/1.json", "--most", "0",
                       "--model", f"{folder}/start.gguf", "--out", f"{folder}/fitted.gguf"]
            with mock.patch.object(sys, "argv", command), contextlib.redirect_stdout(shown):
                threshold.main()
            keys, _ = gguf.read(f"{folder}/fitted.gguf")
        self.assertEqual(keys[threshold.KEY], float(np.nextafter(np.float32(.25), np.float32(1))))
        self.assertEqual(keys["landmark.answer.texts"], 3)  # what was there stays
        self.assertIn("4 questions", shown.getvalue())
        self.assertIn("in sample      0.500   0.000                   0.000", shown.getvalue())


if __name__ == "__main__":
    unittest.main()
