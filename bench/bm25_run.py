#!/usr/bin/env python3
"""Rankings by BM25 over pieces of a length of your choice, for lmk eval retrieval --run.

    bench/bm25_run.py SET OUT.trec [--words N] [--depth 1000]

SET: a folder as bench/make_sets.py makes it. Entries are cut into pieces of N words, each with the title in front (0, the
default: they stay whole); an entry counts by its best piece. SQLite's FTS5 with Porter stems, k1 1.2 and b 0.75, which is what
lmk's own lexical mode ranks its blocks of 63 tokens with; every word of a question may be there.
"""
import argparse
import json
import pathlib
import re
import sqlite3


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def pieces_of(entry, words):
    text = entry["text"].split()
    for start in range(0, max(len(text), 1), words or max(len(text), 1)):
        yield entry.get("title", "") + "\n" + " ".join(text[start:start + words] if words else text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--words", type=int, default=0)
    parser.add_argument("--depth", type=int, default=1000)
    options = parser.parse_args()
    base = sqlite3.connect(":memory:")
    base.execute("CREATE VIRTUAL TABLE pieces USING fts5(text, entry UNINDEXED, tokenize = 'porter unicode61')")
    for entry in read_lines(options.set / "corpus.jsonl"):
        base.executemany("INSERT INTO pieces VALUES (?, ?)",
                         ((piece, entry["_id"]) for piece in pieces_of(entry, options.words)))
    with open(options.out, "w", encoding="utf-8") as out:
        for query in read_lines(options.set / "queries.jsonl"):
            words = sorted(set(re.findall(r"\w+", query["text"].lower())))
            found = {}
            if words:
                match = " OR ".join('"%s"' % word for word in words)
                for entry, score in base.execute(
                        "SELECT entry, -bm25(pieces) FROM pieces WHERE pieces MATCH ? ORDER BY bm25(pieces)", (match,)):
                    found.setdefault(entry, score)
            for rank, (entry, score) in enumerate(list(found.items())[:options.depth], 1):
                out.write(f"{query['_id']} Q0 {entry} {rank} {score!r} {options.out.stem}\n")


if __name__ == "__main__":
    main()
