"""Training documents to parts of token blocks.

    python3 -m train.pack encode --text FOLDER --tokenizer MODEL --out FOLDER [--only PREFIX]
    python3 -m train.pack parts --blocks FOLDER --out FOLDER --sizes 30 110 150
    python3 -m train.pack questions --text FOLDER --out FILE

`encode` turns NAME.train.jsonl into NAME.blocks.npy (uint16 [blocks, 63]; a document begins with BOS and
its last block is filled with padding) and NAME.starts.npy (first block of each document). `parts` deals
all documents out at random to parts of the given sizes in megabytes; the last takes what remains.
`questions` keeps the training passages with questions of all qa-*.train.jsonl, of formulaic sources only a share, and names for
each question the passages that are most easily taken for its own (confusable.py).
"""
import argparse
import glob
import os

import numpy as np

from . import tokenizer
from .confusable import name_confusable
from .json_lines import each_line, read_lines, write_lines

BLOCK = 63


def document_blocks(ids):
    """Ids of a document -> uint16 [blocks, 63]."""
    ids = np.array([tokenizer.BOS] + list(ids), np.uint16)
    filled = np.zeros((len(ids) + BLOCK - 1) // BLOCK * BLOCK, np.uint16)
    filled[:len(ids)] = ids
    return filled.reshape(-1, BLOCK)


def encode_file(path, encode, titled):
    """-> (blocks [N, 63], starts [documents]) of a file of JSON lines."""
    blocks, starts, count = [], [], 0
    for record in each_line(path):
        text = record["title"] + "\n" + record["text"] if titled else record["text"]
        blocks.append(document_blocks(encode(text)))
        starts.append(count)
        count += len(blocks[-1])
    return np.concatenate(blocks), np.array(starts, np.int64)


def encode_all(options):
    encode = tokenizer.load(options.tokenizer).encode
    os.makedirs(options.out, exist_ok=True)
    for path in sorted(glob.glob(f"{options.text}/{options.only}*.{options.split}.jsonl")):
        name = os.path.basename(path)[:-len(f".{options.split}.jsonl")]
        if name.startswith("qa") or not os.path.getsize(path):
            continue
        blocks, starts = encode_file(path, encode, titled=name.startswith("wiki"))
        np.save(f"{options.out}/{name}.blocks.npy", blocks)
        np.save(f"{options.out}/{name}.starts.npy", starts)
        print(f"{name}: {len(starts)} documents, {len(blocks)} blocks", flush=True)


def deal(blocks, starts, sizes, seed=0):
    """Documents in random order, cut into parts of `sizes` blocks -> [(blocks, starts)]."""
    ends = np.append(starts[1:], len(blocks))
    parts, current, filled = [], [], 0
    for document in np.random.default_rng(seed).permutation(len(starts)):
        current.append(blocks[starts[document]:ends[document]])
        filled += len(current[-1])
        if len(parts) < len(sizes) - 1 and filled >= sizes[len(parts)]:
            parts.append(current)
            current, filled = [], 0
    parts.append(current)
    return [(np.concatenate(part), np.cumsum([0] + [len(d) for d in part[:-1]])) for part in parts if part]


def write_parts(options):
    names = sorted(glob.glob(f"{options.blocks}/*.blocks.npy"))
    arrays = [np.load(name) for name in names]
    offsets = np.cumsum([0] + [len(a) for a in arrays])
    starts = np.concatenate([np.load(n.replace(".blocks.", ".starts.")) + o for n, o in zip(names, offsets)])
    os.makedirs(options.out, exist_ok=True)
    sizes = [int(megabytes * 1e6 / BLOCK / 2) for megabytes in options.sizes]
    for index, (blocks, first) in enumerate(deal(np.concatenate(arrays), starts, sizes)):
        np.save(f"{options.out}/part{index}.blocks.npy", blocks)
        np.save(f"{options.out}/part{index}.starts.npy", first.astype(np.int32))
        print(f"part {index}: {len(first)} documents, {len(blocks)} blocks")


SHARES = {"medquad": 0.15, "policyqa": 0.3, "ropes-train": 0.5}
CONFUSABLE = 4  # passages a question


def write_questions(options):
    rng = np.random.default_rng(0)
    records = [record for path in sorted(glob.glob(f"{options.text}/qa-*.train.jsonl")) for record in read_lines(path)
               if rng.random() < SHARES.get(record["source"], 1)]
    name_confusable(records, CONFUSABLE)
    write_lines(options.out, records)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    encode = commands.add_parser("encode")
    encode.add_argument("--text", required=True)
    encode.add_argument("--tokenizer", required=True)
    encode.add_argument("--out", required=True)
    encode.add_argument("--only", default="")
    encode.add_argument("--split", choices=("train", "dev"), default="train")
    encode.set_defaults(run=encode_all)
    parts = commands.add_parser("parts")
    parts.add_argument("--blocks", required=True)
    parts.add_argument("--out", required=True)
    parts.add_argument("--sizes", type=float, nargs="+", required=True, help="megabytes of each part")
    parts.set_defaults(run=write_parts)
    questions = commands.add_parser("questions")
    questions.add_argument("--text", required=True)
    questions.add_argument("--out", required=True)
    questions.set_defaults(run=write_questions)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
