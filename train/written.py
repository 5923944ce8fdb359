"""The questions written for this project, put to their passages.

    python3 -m train.written --text FOLDER [--questions FILE...]

train/questions*.jsonl.bz2 have the questions alone: records of `title` (an encyclopedia article's or a book's), `begins` (how the
paragraph that is asked about begins) and `qas`. Looks for the paragraphs in the texts that prepare.py has left in FOLDER, and
writes those found to qa-written.train.jsonl and qa-written.dev.jsonl there. A model wrote the questions; every answer is a
short stretch of its paragraph.
"""
import argparse
import bz2
import collections
import glob
import json
import os

from .json_lines import each_line, write_lines
from .split import bucket

QUESTIONS = sorted(glob.glob(os.path.join(os.path.dirname(__file__), "questions*.jsonl.bz2")))
BEGINNING = 60   # characters that tell a paragraph
HELD_OUT = 20    # of 1000 passages


def find_passages(texts, wanted):
    """texts: files of records with `title` and `text`; wanted {title: {beginning: record of questions}}, from which is taken what
    is found with an answer. Yields records as prepare.py writes them, with the questions that are answered there."""
    for path in texts:
        for document in each_line(path):
            open_questions = wanted.get(document["title"])
            if not open_questions:
                continue
            for paragraph in map(str.strip, document["text"].split("\n")):
                asked = open_questions.get(paragraph[:BEGINNING], {"qas": ()})
                # another edition may begin alike and go on otherwise
                answered = [qa for qa in asked["qas"] if all(answer in paragraph for answer in qa["answers"])]
                if answered:
                    del open_questions[paragraph[:BEGINNING]]
                    yield {"source": "written", "title": asked["title"], "text": paragraph, "qas": answered}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", required=True, help="folder of prepare.py")
    parser.add_argument("--questions", nargs="+", default=QUESTIONS)
    options = parser.parse_args()
    wanted = collections.defaultdict(dict)
    for path in options.questions:
        with bz2.open(path, "rt", encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                wanted[record["title"]][record["begins"]] = record
    texts = [path for path in sorted(glob.glob(f"{options.text}/*.train.jsonl")) if not os.path.basename(path).startswith("qa-")]
    found = list(find_passages(texts, wanted))
    split = {"train": [], "dev": []}
    for record in found:
        split["dev" if bucket(record["text"]) < HELD_OUT else "train"].append(record)
    for name, records in split.items():
        write_lines(f"{options.text}/qa-written.{name}.jsonl", records)
    print(f"{len(split['train'])} passages to train on, {len(split['dev'])} held out, {sum(map(len, wanted.values()))} not found")


if __name__ == "__main__":
    main()
