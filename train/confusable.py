"""For each question, the passages that are most easily taken for its own: by BM25 of its rare words, without those that hold
one of its answers."""
import collections
import re

import numpy as np

WORD = re.compile(r"\w+")
COMMON = 2000    # passages that have a word; one that more of them have is not looked up
LOOKED_AT = 12   # best passages of which some are taken


class Words:
    """Which passages have a word, and how much it says of each."""

    def __init__(self, texts, k1=1.2, b=0.75):
        holders, length = collections.defaultdict(list), np.zeros(len(texts))
        for number, text in enumerate(texts):
            words = WORD.findall(text.lower())
            length[number] = len(words)
            for word in set(words):
                holders[word].append(number)
        self.holders = {word: np.array(numbers) for word, numbers in holders.items() if 1 < len(numbers) <= COMMON}
        self.count, self.by_length = len(texts), (k1 + 1) / (1 + k1 * (1 - b + b * length / max(1.0, length.mean())))

    def best(self, text, count):
        """-> numbers of the passages with the highest BM25, a word counted once in each; the best first"""
        found = [self.holders[word] for word in set(WORD.findall(text.lower())) if word in self.holders]
        if not found:
            return []
        rarity = [np.log(1 + (self.count - len(numbers) + 0.5) / (len(numbers) + 0.5)) for numbers in found]
        passages, place = np.unique(np.concatenate(found), return_inverse=True)
        scores = np.bincount(place, np.repeat(rarity, [len(numbers) for numbers in found])) * self.by_length[passages]
        return passages[np.argsort(-scores, kind="stable")[:count]].tolist()


def holds_answer(text, answers):
    text = text.lower()
    return any(answer.lower() in text for answer in answers)


def name_confusable(records, count):
    """Puts into each question of the records (`text`, `qas`), as `confusable`, the places in `records` of up to `count` passages:
    the records stay in this order from now on."""
    words = Words([record["text"] for record in records])
    for number, record in enumerate(records):
        for asked in record["qas"]:
            asked["confusable"] = [other for other in words.best(asked["question"], LOOKED_AT)
                                   if other != number and not holds_answer(records[other]["text"], asked["answers"])][:count]
