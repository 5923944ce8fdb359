"""Which published questions are trained on."""
import bz2
import json
import os
import tempfile
import unittest

from train import prepare
from train.split import passage_is_held_out


class Nothing:
    """A filter that knows one question."""

    def text(self, text):
        return False

    def line(self, line):
        return line == "known?"


class Questions(unittest.TestCase):
    def test_sources(self):
        records = [{"source": source, "title": f"T{i}", "passage": f"Passage {i} of {source}.",
                    "qas": [{"question": question, "answers": ["a"]} for question in questions]}
                   for i, questions in enumerate([["one?", "known?"], ["known?"]] * 40)
                   for source in ("squad-split", "bioasq-golden", "qamr")]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "qa.jsonl.bz2")
            with bz2.open(path, "wt", encoding="utf-8") as out:
                out.writelines(json.dumps(record) + "\n" for record in records)
            made = [item for item in prepare.prepare_questions(path, Nothing()) if item]
        asked = [record for record in records if record["qas"][0]["question"] == "one?"]
        expected = [(held_out, record["title"], record["source"]) for record in asked
                    for held_out in [bool(passage_is_held_out(record))]
                    if record["source"] == "squad-split" or record["source"] == "bioasq-golden" and held_out]
        self.assertEqual([(bool(held_out), record["title"], record["source"]) for held_out, record in made], expected)
        self.assertEqual({len(record["qas"]) for _, record in made}, {1})
        self.assertIn("bioasq-golden", {source for _, _, source in expected})


if __name__ == "__main__":
    unittest.main()
