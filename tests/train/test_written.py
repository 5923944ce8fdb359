"""Written questions find their passages."""
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from train.written import BEGINNING, find_passages  # noqa: E402

LONG = "The river Ouse rises in the hills behind the town and " + "flows " * 10 + "to the sea."


class Written(unittest.TestCase):
    def test_paragraphs_are_found_by_title_and_beginning(self):
        qas = [{"question": "Where does the Ouse end?", "answers": ["the sea"]}]
        # of its questions none can be answered: it counts as not found
        unanswered = "Its banks were built in the years of the great flood, and the bridges soon after them."
        documents = [{"title": "Ouse", "text": f"A river.\n\n {LONG}\n{unanswered}\nThe end."}, {"title": "Other", "text": LONG},
                     {"title": "Ouse", "text": f"Second edition.\n{LONG}"}]
        documents.insert(0, {"title": "Ouse", "text": f"First edition.\n{LONG[:BEGINNING]} and is lost."})
        of_another = {"question": "Who sailed on the Ouse?", "answers": ["Noah"]}
        wanted = {"Ouse": {LONG[:BEGINNING]: {"title": "Ouse", "qas": qas + [of_another]}, "Gone": {"title": "Ouse", "qas": qas},
                           unanswered[:BEGINNING]: {"title": "Ouse", "qas": [of_another]}}}
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "wiki.train.jsonl")
            with open(path, "w", encoding="utf-8") as out:
                out.writelines(json.dumps(document) + "\n" for document in documents)
            found = list(find_passages([path], wanted))
        self.assertEqual(found, [{"source": "written", "title": "Ouse", "text": LONG, "qas": qas}])  # once, not per edition
        self.assertEqual(list(wanted["Ouse"]), ["Gone", unanswered[:BEGINNING]])


if __name__ == "__main__":
    unittest.main()
