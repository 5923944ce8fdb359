"""Logs as a picture: it parses, and its lines have the points that the logs have."""
import json
import math
import os
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from train import curve  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def entry(number, **values):
    return {"time": 1.0, "number": number, "loss": 9.0, "language": 8.0 / number, "answer": 4.0, "accuracy": 0.5,
            "stream_recall": 0.25, "by_kind": {"pass key": [0.5, 0.25, 8], "cloze": [0.1, 0.0, 3]},
            "gate_by_head": [[0.1, 0.2], [0.3, 0.4]], "gate_uniform": 0.05, **values}


class Curve(unittest.TestCase):
    def setUp(self):
        self.kept = tempfile.TemporaryDirectory()
        self.addCleanup(self.kept.cleanup)

    def log(self, name, *entries):
        path = f"{self.kept.name}/{name}"
        with open(path, "w", encoding="utf-8") as out:
            out.writelines(json.dumps(e) + "\n" for e in entries)
        return path

    def test_picture(self):
        first = self.log("a", {"event": "start"}, entry(1), entry(20), {"event": "stable", "number": 20}, {"event": "end"},
                         {"event": "start"}, entry(10))
        second = self.log("b", {"event": "start"}, entry(5, answer=math.nan, by_kind={}), {"event": "end"})
        entries, begins = curve.read_logs([first, second])
        self.assertEqual([step for step, _ in entries], [1, 20, 30, 35])
        self.assertEqual(begins, [0, 20, 30])
        root = ElementTree.fromstring(curve.picture(entries, begins))
        lines = [line.get("points").split() for line in root.iter(f"{SVG}polyline")]
        # language, answer; accuracy; recall inside contexts and of two kinds; four heads
        self.assertEqual([len(points) for points in lines], [4, 3, 4, 4, 3, 3, 4, 4, 4, 4])
        texts = [element.text for element in root.iter(f"{SVG}text")]
        self.assertIn("pass key", texts)
        self.assertEqual(texts.count("answers, memory layer 2"), 1)

    def test_heights(self):
        """Twice the value stands twice as high above the axis; gates count as multiples of uniform."""
        drawn = dict(curve.panels([(1, entry(1)), (2, entry(2))]))
        gates = drawn["gate on the gold block, times uniform, by head"]
        self.assertAlmostEqual(gates["answers, memory layer 2", 1][0][1], 8.0)
        root = ElementTree.fromstring("<svg>" + "".join(curve.panel("", {"a": [(0, 1.0), (5, 2.0), (10, 4.0)]}, [0], 10, 0)) + "</svg>")
        points = [tuple(map(float, p.split(","))) for p in root.find("polyline").get("points").split()]
        axis = curve.HEIGHT - curve.GAP
        self.assertAlmostEqual((axis - points[2][1]) / (axis - points[0][1]), 4, 1)
        self.assertAlmostEqual(points[1][0], (points[0][0] + points[2][0]) / 2, 1)

    def test_ticks(self):
        self.assertEqual(curve.ticks(0, 10), [0, 2, 4, 6, 8, 10])
        self.assertEqual(curve.ticks(-0.3, 0.3, 3), [-0.2, 0.0, 0.2])


if __name__ == "__main__":
    unittest.main()
