"""Passages retold with other answers."""
import os
import re
import sys
import unittest

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from train.substitute import FEWEST, Substitutes, asked_for, kind, openings  # noqa: E402

RECORDS = [
    {"source": "tales", "title": "Ships", "text": "In 1750 Ben Gunn sailed to Bristol. Gunn, who liked Bristol, stayed 12 years. Bristols lay near.",
     "qas": [{"question": "Where did Gunn sail?", "answers": ["to Bristol", "Bristol"]},
             {"question": "When was it?", "answers": ["1750"]},
             {"question": "How did he feel in Bristol?", "answers": ["happy"]}]},
    {"source": "tales", "title": "", "text": "Ada went to London with Silver. They rode to Paris.",
     "qas": [{"question": "Who went?", "answers": ["Ada"]}, {"question": "Where to?", "answers": ["to London", "to Paris"]},
             {"question": "With whom?", "answers": ["Silver"]}]},
    {"source": "news", "title": "", "text": "They flew to Rome.", "qas": [{"question": "Where?", "answers": ["to Rome"]}]},
]


class Retold(unittest.TestCase):
    def setUp(self):
        self.substitutes = Substitutes(RECORDS)

    def test_kinds(self):
        self.assertEqual([kind(answer) for answer in ("1,750", "Ben Gunn", "the Old Bailey", "to swim fast", "12 men", "(no)", "a b c d e f g")],
                         [("number",), ("name", 2, ""), ("name", 3, "the"), ("phrase", 3, "to"), ("phrase", 2, ""), None, None])

    def test_sorts_of_questions(self):
        questions = {"Who was it?": "who", "With whom did he go?": "who", "In what year did it end?": "year", "Which city fell?": "city",
                     "How many men were there?": "how many", "How did he feel?": "how", "What is the capital of Peru?": "capital",
                     "What was he?": "what", "What?": "what", "How?": "how", "Tell the price of it.": "", "Since when?": "when"}
        self.assertEqual({question: asked_for(question) for question in questions}, questions)

    def test_openings(self):
        cities = [{"qas": [{"question": f"In which city did number {i} live?", "answers": ["Turin"]}]} for i in range(FEWEST)]
        others = [{"qas": [{"question": "Whom did he meet in Turin?", "answers": ["Ada"]}, {"question": "Which castle fell?", "answers": ["Windsor"]},
                           {"question": "What was it?", "answers": ["gold"]}, {"question": "Name the town.", "answers": ["Rome"]},
                           {"question": "Which city is it?", "answers": ["one that has far too many words"]}]}]
        met = [{"qas": [{"question": "Who was it?", "answers": ["Bob"]}]}] * (FEWEST - 1)
        found = openings(cities + others + met)
        self.assertEqual(found, {"Turin": ["In which city"] * FEWEST, "Ada": ["Whom"], "Bob": ["Who"] * (FEWEST - 1)})

    def test_answers_stay_of_their_sort(self):
        record = {"source": "atlas", "title": "", "text": "The French painter lived in Turin.",
                  "qas": [{"question": "What nationality had he?", "answers": ["French"]}, {"question": "In which city did he live?", "answers": ["Turin"]}]}
        other = {"source": "atlas", "title": "", "text": "Norwegian Danish Oslo Ribe",
                 "qas": [{"question": "Which nationality is it?", "answers": ["Norwegian", "Danish"]},
                         {"question": "What city is it?", "answers": ["Oslo", "Ribe"]}]}
        told = {Substitutes([record, other]).retold(np.random.default_rng(seed), record, 0.0)["text"] for seed in range(60)}
        self.assertEqual(told, {f"The {a} painter lived in {b}." for a in ("Norwegian", "Danish") for b in ("Oslo", "Ribe")})

    def test_answers_are_replaced_everywhere(self):
        seen = set()
        for seed in range(50):
            told = self.substitutes.retold(np.random.default_rng(seed), RECORDS[0], 0.0)
            asked = {q["question"]: q["answers"] for q in told["qas"]}
            self.assertNotIn("happy", sum(asked.values(), []))           # does not stand in the text: cannot be replaced
            place = asked["Where did Gunn sail?"][0]
            year = asked["When was it?"][0]
            self.assertIn(place, ("to London", "to Paris"))
            self.assertRegex(year, r"^[12]\d\d\d$")
            self.assertEqual(told["text"], f"In {year} Ben Gunn sailed {place}. Gunn, who liked Bristol, stayed 12 years. Bristols lay near.")
            seen.add(place)
        self.assertEqual(seen, {"to London", "to Paris"})

    def test_no_two_answers_become_the_same(self):
        record = {"source": "post", "title": "", "text": "Ann met Bob.", "qas": [{"question": "Who met Bob?", "answers": ["Ann"]},
                                                                                 {"question": "Whom did Ann meet?", "answers": ["Bob"]}]}
        other = {"source": "post", "title": "", "text": "Cid.", "qas": [{"question": "Who?", "answers": ["Cid"]}]}
        told = [Substitutes([record, other]).retold(np.random.default_rng(seed), record, 0.0) for seed in range(30)]
        self.assertEqual({t["text"] for t in told if t}, {"Cid met Bob.", "Ann met Cid."})

    def test_names_of_questions_are_replaced_in_both(self):
        told = self.substitutes.retold(np.random.default_rng(1), RECORDS[0], 1.0)
        name = re.match(r"Where did (\w+) sail\?", next(q["question"] for q in told["qas"] if "sail" in q["question"])).group(1)
        self.assertIn(name, ("Ada", "Silver"))
        self.assertNotIn("Gunn", told["text"])
        self.assertEqual(len(re.findall(rf"\b{name}\b", told["text"])), 2)

    def test_nothing_to_replace(self):
        record = {"source": "tales", "title": "", "text": "He was happy.", "qas": [{"question": "How was he?", "answers": ["glad"]}]}
        self.assertIsNone(self.substitutes.retold(np.random.default_rng(0), record, 1.0))


if __name__ == "__main__":
    unittest.main()
