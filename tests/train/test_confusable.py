"""Passages that are taken for a question's own."""
import math
import unittest

import numpy as np

from train import data
from train.confusable import Words, name_confusable


class Confusable(unittest.TestCase):
    def test_bm25_of_rare_words(self):
        texts = ["a red fox ran", "the red fox ran home to a den", "a blue fish", "a fish swam", "a bird"]
        words = Words(texts, k1=1.2, b=0.75)

        def bm25(number, *found):
            lengths = [len(text.split()) for text in texts]
            norm = 1.2 * (0.25 + 0.75 * lengths[number] * len(texts) / sum(lengths))
            return sum(math.log(1 + (len(texts) - n + 0.5) / (n + 0.5)) * 2.2 / (1 + norm) for n in found)

        scores = {0: bm25(0, 2, 2, 5), 1: bm25(1, 2, 2, 5), 2: bm25(2, 5, 2), 3: bm25(3, 5, 2), 4: bm25(4, 5)}
        expected = sorted(scores, key=lambda number: -scores[number])
        self.assertEqual(words.best("Where did a red fox or fish go?", 9), expected)
        self.assertEqual(words.best("blue den", 9), [])  # words of one passage alone are its own

    def test_neither_the_passage_itself_nor_one_with_an_answer(self):
        records = [{"text": "Anna lives in Riga by the sea", "qas": [{"question": "Where does Anna live by the sea?", "answers": ["Riga"]}]},
                   {"text": "Anna swam in the sea", "qas": []},
                   {"text": "Anna left riga for the sea", "qas": []},
                   {"text": "The sea is blue", "qas": [{"question": "What is blue?", "answers": ["The sea"]}]}]
        name_confusable(records, 4)
        self.assertEqual([asked["confusable"] for record in records for asked in record["qas"]], [[1, 3], []])
        name_confusable(records, 1)
        self.assertEqual(records[0]["qas"][0]["confusable"], [1])

    def test_contexts_hold_what_is_confusable(self):
        made = data.Maker.__new__(data.Maker)
        made.step = data.StepShape(blocks=4, confusable=1.0)
        made.questions = [{"number": i, "qas": [{"confusable": [(i + 50) % 100, (i + 51) % 100]}]} for i in range(100)]
        numbers = [record["number"] for record in made._passages(np.random.default_rng(1))]
        self.assertGreaterEqual(len(numbers), 12)
        self.assertEqual(len(set(numbers)), len(numbers))
        self.assertEqual([(n - numbers[0]) % 100 for n in numbers[1:3]], [50, 51])


if __name__ == "__main__":
    unittest.main()
