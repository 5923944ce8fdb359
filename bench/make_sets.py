#!/usr/bin/env python3
"""Makes question sets in BEIR's format from a file of passages with questions.

    bench/make_sets.py QA.jsonl OUT [--passages N] [--questions N] [--seed N] [SET=SOURCE,SOURCE ...]

A line of QA.jsonl: source, title, text, qas (each question, answers). One set for each SET=..., of the
named sources; without any, one for each source with at least 200 passages. Passages and questions
beyond the limits are left out at random, the same ones for one seed. A set is a folder of OUT:

    corpus.jsonl      _id, title, text
    queries.jsonl     _id, text
    qrels.tsv         query-id, corpus-id, score
    questions.jsonl   question, answers, gold: for lmk eval qa
"""
import argparse
import collections
import json
import pathlib
import random


def read_passages(path):
    """{source: [passage with questions]}, each text once."""
    sources, seen = collections.defaultdict(list), set()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            passage = json.loads(line)
            key = passage["source"], passage["title"], passage["text"]
            if key not in seen and passage["qas"]:
                seen.add(key)
                sources[passage["source"]].append(passage)
    return sources


def titled(title):
    """Some titles are words with hyphens between, made for the names of files."""
    return title.replace("-", " ") if title and " " not in title else title


def choose(passages, most_passages, most_questions, seed):
    """Passages, and questions with the numbers of the passages that answer them."""
    draw = random.Random(seed)
    if most_passages and len(passages) > most_passages:
        passages = draw.sample(passages, most_passages)
    questions = {}
    for number, passage in enumerate(passages):
        for item in passage["qas"]:
            text = " ".join(item["question"].split())
            if text and item["answers"]:
                question = questions.setdefault(text, {"question": text, "answers": [], "gold": []})
                question["answers"] += [answer for answer in item["answers"] if answer not in question["answers"]]
                if number not in question["gold"]:
                    question["gold"].append(number)
    questions = list(questions.values())
    if most_questions and len(questions) > most_questions:
        questions = [questions[i] for i in sorted(draw.sample(range(len(questions)), most_questions))]
    return passages, questions


def write_set(folder, passages, questions):
    folder.mkdir(parents=True, exist_ok=True)

    def write(name, objects):
        with open(folder / name, "w", encoding="utf-8") as out:
            for item in objects:
                out.write(json.dumps(item, ensure_ascii=False) + "\n")

    write("corpus.jsonl", ({"_id": f"p{i}", "title": titled(passage["title"]), "text": passage["text"]}
                           for i, passage in enumerate(passages)))
    write("queries.jsonl", ({"_id": f"q{i}", "text": item["question"]} for i, item in enumerate(questions)))
    write("questions.jsonl", ({**item, "gold": [f"p{number}" for number in item["gold"]]} for item in questions))
    with open(folder / "qrels.tsv", "w", encoding="utf-8") as out:
        out.write("query-id\tcorpus-id\tscore\n")
        for i, item in enumerate(questions):
            out.writelines(f"q{i}\tp{number}\t1\n" for number in item["gold"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("qa")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--passages", type=int, default=0, help="most passages of a set (0: all)")
    parser.add_argument("--questions", type=int, default=0, help="most questions of a set (0: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("sets", nargs="*", metavar="SET=SOURCE,SOURCE")
    options = parser.parse_intermixed_args()
    sources = read_passages(options.qa)
    wanted = dict(item.split("=", 1) for item in options.sets)
    if not wanted:
        wanted = {source: source for source, passages in sources.items() if len(passages) >= 200}
    for name, members in sorted(wanted.items()):
        passages = [passage for source in members.split(",") for passage in sources[source]]
        passages, questions = choose(passages, options.passages, options.questions, options.seed)
        write_set(options.out / name, passages, questions)
        titles = len({passage["title"] for passage in passages})
        print(f"{name}: {len(passages)} passages, {titles} titles, {len(questions)} questions")


if __name__ == "__main__":
    main()
