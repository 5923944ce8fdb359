#!/usr/bin/env python3
"""Joins question sets into one corpus among further texts, to see what finding costs in a large library.

    bench/join_sets.py OUT SET ... [--further TEXTS.jsonl] [--megabytes N] [--words 170]

SET: a folder as bench/make_sets.py makes it, called NAME by its last part. Passages, questions and judgements get
ids NAME.ID. TEXTS.jsonl: lines with title and text that answer none of the questions; the first N megabytes of them are taken.

    OUT/corpus.jsonl                    all passages, then the further texts, each whole
    OUT/NAME/queries.jsonl, qrels.tsv   the questions of a set, about the joint corpus
    OUT/pieces/corpus.jsonl             the same for systems that rank passages: the further texts in pieces of whole
                                        paragraphs, at most so many words each, with the _id of their text
    OUT/pieces/queries.jsonl            all questions
"""
import argparse
import json
import pathlib


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def write_lines(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in objects)


def read_further(path, most_bytes):
    """The first texts of the file that have so many bytes together."""
    total = 0
    for number, item in enumerate(read_lines(path)):
        total += len(item["text"].encode())
        if total > most_bytes:
            return
        yield {"_id": f"further.{number}", "title": item["title"], "text": item["text"]}


def pieces_of(text, most_words):
    """Paragraphs as long as they fit into a piece together; what is longer alone is cut."""
    piece = []
    for paragraph in text.split("\n"):
        words = paragraph.split()
        for start in range(0, len(words), most_words):
            part = words[start:start + most_words]
            if piece and len(piece) + len(part) > most_words:
                yield " ".join(piece)
                piece = []
            piece += part
    if piece:
        yield " ".join(piece)


def join_set(folder, out):
    """Writes a set's questions with their judgements; its passages and questions."""
    name = folder.name
    passages = [{**item, "_id": f"{name}.{item['_id']}"} for item in read_lines(folder / "corpus.jsonl")]
    questions = [{**item, "_id": f"{name}.{item['_id']}"} for item in read_lines(folder / "queries.jsonl")]
    write_lines(out / name / "queries.jsonl", questions)
    heading, *judgements = (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()
    with open(out / name / "qrels.tsv", "w", encoding="utf-8") as lines:
        lines.write(heading + "\n")
        for judgement in judgements:
            query, entry, gain = judgement.split("\t")
            lines.write(f"{name}.{query}\t{name}.{entry}\t{gain}\n")
    return passages, questions


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("sets", nargs="+", type=pathlib.Path, metavar="SET")
    parser.add_argument("--further", type=pathlib.Path, metavar="TEXTS.jsonl")
    parser.add_argument("--megabytes", type=float, default=float("inf"))
    parser.add_argument("--words", type=int, default=170)
    options = parser.parse_args()
    joined = [join_set(folder, options.out) for folder in options.sets]
    passages = [passage for members, _ in joined for passage in members]
    questions = [question for _, members in joined for question in members]
    further = list(read_further(options.further, 1e6 * options.megabytes)) if options.further else []
    pieces = [{**item, "text": piece} for item in further for piece in pieces_of(item["text"], options.words)]
    write_lines(options.out / "corpus.jsonl", passages + further)
    write_lines(options.out / "pieces" / "corpus.jsonl", passages + pieces)
    write_lines(options.out / "pieces" / "queries.jsonl", questions)
    print(f"{len(passages)} passages, {len(questions)} questions, {len(further)} further texts in {len(pieces)} pieces")


if __name__ == "__main__":
    main()
