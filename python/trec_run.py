#!/usr/bin/env python3
"""Writes a TREC run: for each query the documents of a collection that fit it best.

    python3 python/trec_run.py COLLECTION QUERIES [--top N] [--mode MODE] [--tag NAME] >run.txt

QUERIES has a query a line: its number, a tab, and its text. Each line of the run is "query Q0 document rank score tag",
as trec_eval reads it. A document of a JSON lines file is named by its "_id", any other by the name of its file, or with
--title by its title; spaces become "_".
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lmk


def read_queries(path):
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            name, tab, text = line.rstrip("\n").partition("\t")
            if not tab or not name or not text.strip():
                sys.exit("%s, line %d: not a query's number, a tab, and its text." % (path, number))
            yield name, text


def document_name(passage, title):
    if title:
        return passage.title
    return str(passage.metadata.get("_id") or os.path.basename(passage.path))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("collection")
    parser.add_argument("queries")
    parser.add_argument("--top", type=int, default=100, help="documents for each query (100)")
    parser.add_argument("--mode", default="hybrid", choices=[mode.name.lower() for mode in lmk.Mode])
    parser.add_argument("--tag", default="lmk", help="name of the run (lmk)")
    parser.add_argument("--title", action="store_true", help="name documents by their titles")
    arguments = parser.parse_args()
    with lmk.Collection(arguments.collection) as collection:
        for query, text in read_queries(arguments.queries):
            seen = set()
            # The best passage speaks for its document. Where there are too few documents to fill the
            # page, further passages of one follow.
            for passage in collection.search(text, top=arguments.top, mode=arguments.mode, per_document=1):
                if passage.document in seen:
                    continue
                seen.add(passage.document)
                name = "_".join(document_name(passage, arguments.title).split())
                print(query, "Q0", name, len(seen), "%.6f" % passage.score, arguments.tag)


if __name__ == "__main__":
    try:
        main()
    except lmk.Error as error:
        sys.exit("trec_run: %s" % error)
