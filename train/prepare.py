"""Raw collections to normalised training and development texts.

    python3 -m train.prepare --data FOLDER --exclude FOLDER --out FOLDER [--only PREFIX]

FOLDER of --data holds books-*.jsonl.bz2, wiki-*.jsonl.bz2 and qa-train.jsonl.bz2; the folder of
--exclude holds `exclude.py`, whose filter says what must not be trained on. Each input file becomes
NAME.train.jsonl and NAME.dev.jsonl in --out; what the filter knows is in neither.
"""
import argparse
import bz2
import glob
import json
import os
import sys

from .normalise import normalise
from .split import article_is_held_out, book_is_held_out, key, passage_is_held_out

DROPPED_SOURCES = {"qamr", "hotpotqa-sample", "narrativeqa-sample"}  # single sentences; mixed or very long passages
# Their authors state no licence: measured on where held out, never trained on.
UNLICENSED_SOURCES = {"bioasq-golden", "quoref-contrast", "ropes-contrast", "drop-contrast"}


def read_lines(path):
    with bz2.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def held_out_titles(question_file):
    """Titles of the held-out question passages: their articles must not be trained on either."""
    return {key(r["title"]) for r in read_lines(question_file) if r["title"] and passage_is_held_out(r)}


def prepare_documents(path, is_held_out, drop, exclude):
    """Yields (is development, record) of a file of books or articles; None for what the filter knows."""
    for record in read_lines(path):
        text = normalise(record["text"])
        if not text or exclude.text(text) or key(record["title"]) in drop:
            yield None
            continue
        yield is_held_out(record["title"]), {"title": record["title"].strip(), "text": text}


def prepare_questions(path, exclude):
    """Yields (is development, record) of the question file, its questions checked one by one."""
    for record in read_lines(path):
        if record["source"] in DROPPED_SOURCES or exclude.text(record["passage"]):
            yield None
            continue
        questions = [q for q in record["qas"] if not exclude.line(q["question"])]
        is_held_out = passage_is_held_out(record)
        if not is_held_out and record["source"] in UNLICENSED_SOURCES:
            yield None
        elif questions:
            yield is_held_out, {"source": record["source"], "title": record["title"].strip(),
                                "text": normalise(record["passage"]), "qas": questions}


def write_split(records, name, out):
    """Writes NAME.train.jsonl and NAME.dev.jsonl; returns (training, development, excluded) counts."""
    counts = [0, 0, 0]
    with open(f"{out}/{name}.train.jsonl", "w", encoding="utf-8") as train, \
            open(f"{out}/{name}.dev.jsonl", "w", encoding="utf-8") as dev:
        for item in records:
            if item is None:
                counts[2] += 1
                continue
            is_dev, record = item
            counts[1 if is_dev else 0] += 1
            print(json.dumps(record, ensure_ascii=False), file=dev if is_dev else train)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--exclude", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--only", default="", help="prefix of the files to prepare")
    options = parser.parse_args()
    sys.path.insert(0, options.exclude)
    from exclude import Exclude
    exclude = Exclude()
    os.makedirs(options.out, exist_ok=True)
    drop = held_out_titles(f"{options.data}/qa-train.jsonl.bz2")
    for path in sorted(glob.glob(f"{options.data}/{options.only}*.jsonl.bz2")):
        name = os.path.basename(path)[:-len(".jsonl.bz2")]
        if name.startswith("qa"):
            records = prepare_questions(path, exclude)
        elif name.startswith("books"):
            records = prepare_documents(path, book_is_held_out, set(), exclude)
        else:
            records = prepare_documents(path, article_is_held_out, drop, exclude)
        train, dev, excluded = write_split(records, name, options.out)
        print(f"{name}: {train} to train on, {dev} held out, {excluded} left out", flush=True)


if __name__ == "__main__":
    main()
