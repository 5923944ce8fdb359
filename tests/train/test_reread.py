"""The documents that read a text again: their layout, what is learnt from them, and greedy answers."""
import unittest

import numpy as np
import torch

from train import data, reread
from train.config import Shape
from train.model import LandmarkModel, with_landmarks
from train.pack import BLOCK
from train.tokenizer import BOS, LANDMARK, NEWLINE

QUESTION, ANSWER = 100, 101


class Words:
    """A tokenizer of words, for reading what was made back."""

    def __init__(self):
        self.number = {"Question:": QUESTION, "Answer:": ANSWER}

    def encode(self, text):
        return [self.number.setdefault(word, 200 + len(self.number)) for word in text.split()]

    def decode(self, ids):
        word = {number: word for word, number in self.number.items()}
        return [word[int(i)] for i in ids]


def maker(records, **step):
    made, words = data.Maker.__new__(data.Maker), Words()
    made.step, made.encode, made.words, made.questions, made.synonyms = data.StepShape(**step), words.encode, words, records, {}
    made.as_asked = lambda rng, question: question
    return made


def record(number, length=300, confusable=()):
    """A passage of its own words, one of which is asked for."""
    words = [f"w{number}.{i}" for i in range(length)]
    at = 37 * (number + 1) % length
    return {"text": " ".join(words), "qas": [{"question": f"which comes behind {words[at - 1]}", "answers": [words[at]],
                                              "confusable": list(confusable)}]}


class TestDocuments(unittest.TestCase):
    def test_layout(self):
        question = [QUESTION, 7, 8, 9, NEWLINE, ANSWER]
        self.assertEqual(reread.document(question, [20, 21]),
                         [BOS, QUESTION, 7, 8, 9, NEWLINE, 20, 21, NEWLINE, QUESTION, 7, 8, 9, NEWLINE, ANSWER])
        full = reread.document(question, range(1000, 1000 + reread.room(question)))
        self.assertGreaterEqual(reread.READ_BLOCKS * BLOCK - len(full), reread.ANSWER)

    def test_window_holds_what_is_asked_for(self):
        for length, first, last, size in ((100, 0, 3, 20), (100, 96, 99, 20), (100, 40, 44, 20), (100, 40, 44, 5)):
            starts = {reread.window(length, first, last, size, share) for share in np.linspace(0, 0.999, 200)}
            self.assertEqual(starts, set(range(max(0, last + 1 - size), min(first, length - size) + 1)))
        self.assertEqual(reread.window(15, 3, 4, 20, 0.9), 0)

    def test_documents_begin_with_blocks(self):
        tokens, numbers, starts = reread.fill([[9] * 64, [8] * 63, [7] * 200], 6)
        self.assertEqual((starts, numbers.tolist()), ([0, 126], [0, 0, 1, -1, -1, -1]))
        self.assertEqual((tokens[:2] == 9).sum(), 64)
        self.assertTrue((tokens[2] == 8).all() and not tokens[3:].any())

    def test_what_is_learnt_is_the_answer_or_nothing(self):
        made = maker([record(number) for number in range(12)])
        rng, answered, seen = np.random.default_rng(3), 0, 0
        for _ in range(12):
            tokens, numbers, rows = reread.context(made, rng)
            flat = np.concatenate((tokens, np.full((len(tokens), 1), LANDMARK)), 1).reshape(-1)
            wanted = [flat[row + (2 if row % 64 == BLOCK - 1 else 1)] for row in rows]
            for number in range(numbers.max() + 1):
                blocks = np.flatnonzero(numbers == number)
                own = [int(w) for row, w in zip(rows, wanted) if row // 64 in blocks]
                ids = [int(i) for i in tokens[blocks].reshape(-1) if i]
                ids = ids[:len(ids) - len(own)]
                self.assertEqual((ids[0], ids[-1], own[-1]), (BOS, ANSWER, NEWLINE))
                before = made.words.decode(ids[ids.index(NEWLINE) - 1:ids.index(NEWLINE)])[0]
                behind = before.split(".")[0] + "." + str(int(before.split(".")[1]) + 1)
                text = made.words.decode(i for i in ids[ids.index(NEWLINE):] if i > NEWLINE)
                self.assertEqual(made.words.decode(own[:-1]), [behind] if behind in text else [])
                answered, seen = answered + (len(own) > 1), seen + 1
        self.assertAlmostEqual(answered / seen, 1 - reread.UNANSWERED, delta=0.15)

    def test_texts_that_do_not_answer(self):
        made, rng = maker([record(number, confusable=(7, 9)) for number in range(12)]), np.random.default_rng(5)
        asked, count = made.questions[2]["qas"][0], 3000
        drawn = np.bincount([reread.another(made, rng, 2, asked) % 12 for _ in range(count)], minlength=12) / count
        any_one = (1 - reread.CONFUSED - reread.NEAR) / 12
        expected = np.full(12, any_one)
        expected[[7, 9]] += reread.CONFUSED / 2
        expected[5] += reread.NEAR
        self.assertLess(np.abs(drawn - expected).max(), 0.03)
        del asked["confusable"]
        drawn = np.bincount([reread.another(made, rng, 2, asked) % 12 for _ in range(count)], minlength=12) / count
        self.assertLess(abs(drawn[5] - reread.CONFUSED - reread.NEAR - any_one), 0.03)


class TestAnswers(unittest.TestCase):
    def test_greedy_answers_are_the_most_likely_tokens_one_by_one(self):
        torch.manual_seed(1)
        shape = Shape(layers=4, width=32, heads=2, kv_heads=1, head_width=16, inner=48, vocabulary=256, memory_layers=(1, 2))
        model = LandmarkModel(shape).eval()
        documents = [[BOS] + [20 + i % 50 for i in range(length)] for length in (57, 180, 235)]
        for ids, (answer, total) in zip(documents, reread.read(model, documents, torch.float32)):
            ids, wanted, summed = list(ids), [], 0.0
            for _ in range(reread.ANSWER):
                blocks = -(-len(ids) // BLOCK)
                tokens = torch.zeros(blocks * BLOCK, dtype=torch.int64)
                tokens[:len(ids)] = torch.tensor(ids)
                rows = with_landmarks(tokens.view(1, blocks, BLOCK), LANDMARK)
                with torch.no_grad():
                    logits = model.forward(rows)[0][0, reread.row_of(len(ids) - 1)].log_softmax(-1)
                summed += logits.max().item()
                if logits.argmax() in (NEWLINE, 3):
                    break
                wanted.append(int(logits.argmax()))
                ids.append(wanted[-1])
            self.assertEqual(answer, wanted)
            self.assertAlmostEqual(total, summed, places=3)


if __name__ == "__main__":
    unittest.main()
