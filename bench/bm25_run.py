#!/usr/bin/env python3
"""Rankings by BM25 over pieces of a length of your choice, for lmk eval retrieval --run.

    bench/bm25_run.py SET OUT.trec [--words N] [--depth 1000]

SET: a folder as bench/make_sets.py makes it. Entries are cut into pieces of N words, each with the title in front (0, the
default: they stay whole); an entry counts by its best piece. Words and Porter stems are those of SQLite's FTS5, k1 1.2 and b 0.75
and the weights of words those of its bm25(), which is what lmk's own lexical mode ranks its blocks of 63 tokens with; every word of a
question may be there. All postings are held in memory, where a question is a few additions. Needs numpy.
"""
import argparse
import itertools
import json
import math
import pathlib
import re
import sqlite3

import numpy as np

K1, B, LEAST_WEIGHT = 1.2, 0.75, 1e-6


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def pieces_of(entry, words):
    text = entry["text"].split()
    for start in range(0, max(len(text), 1), words or max(len(text), 1)):
        yield entry.get("title", "") + "\n" + " ".join(text[start:start + words] if words else text)


def occurrences(texts):
    """(stem, number of the text from 0) of every word, by stem and then text."""
    base = sqlite3.connect(":memory:")
    base.execute("CREATE VIRTUAL TABLE texts USING fts5(text, content = '', tokenize = 'porter unicode61')")
    base.executemany("INSERT INTO texts(rowid, text) VALUES (?, ?)", enumerate(texts))
    base.execute("CREATE VIRTUAL TABLE words USING fts5vocab(texts, instance)")
    return base.execute("SELECT term, doc FROM words")


class Index:
    def __init__(self, texts):
        self.count, self.lengths, self.postings = len(texts), np.zeros(len(texts)), {}
        for stem, places in itertools.groupby(occurrences(texts), lambda row: row[0]):
            self.postings[stem] = np.unique(np.fromiter((text for _, text in places), np.int64), return_counts=True)
            found, often = self.postings[stem]
            self.lengths[found] += often
        self.norms = K1 * (1 - B + B * self.lengths / self.lengths.mean())

    def scores(self, stems):
        scores = np.zeros(self.count)
        for stem in stems:
            if stem in self.postings:
                found, often = self.postings[stem]
                weight = math.log((self.count - len(found) + 0.5) / (len(found) + 0.5))
                scores[found] += max(weight, LEAST_WEIGHT) * often * (K1 + 1) / (often + self.norms[found])
        return scores


def stems_of(questions):
    """The stems of each question's different words, a stem as often as words have it."""
    stems = [[] for _ in questions]
    words = [" ".join(sorted(set(re.findall(r"\w+", question.lower())))) for question in questions]
    for stem, question in occurrences(words):
        stems[question].append(stem)
    return stems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--words", type=int, default=0)
    parser.add_argument("--depth", type=int, default=1000)
    options = parser.parse_args()
    cut = [(entry["_id"], piece) for entry in read_lines(options.set / "corpus.jsonl") for piece in pieces_of(entry, options.words)]
    names = sorted({name for name, _ in cut})
    place = {name: number for number, name in enumerate(names)}
    owners = np.array([place[name] for name, _ in cut])
    index = Index([piece for _, piece in cut])
    queries = read_lines(options.set / "queries.jsonl")
    with open(options.out, "w", encoding="utf-8") as out:
        for query, stems in zip(queries, stems_of([query["text"] for query in queries])):
            best = np.zeros(len(names))
            np.maximum.at(best, owners, index.scores(stems))
            order = np.argsort(-best, kind="stable")[:options.depth]
            for rank, entry in enumerate(order[best[order] > 0].tolist(), 1):
                out.write(f"{query['_id']} Q0 {names[entry]} {rank} {best[entry].item()!r} {options.out.stem}\n")


if __name__ == "__main__":
    main()
