"""The paper's pass-key test through the memory.

    python3 -m train.passkey (--model FILE.gguf | --model CHECKPOINT --config FILE) --tokenizer MODEL [--out FILE.json]
                             [--lengths 1024 ... 32768] [--runs 50] [--blocks 4]

A number from 1 to 50,000 stands somewhere in a text that repeats itself. The text is indexed as one document, the
landmarks of all of it are scored by the prompt, and the prompt is continued with the best blocks as far memory. Right is
an answer whose first number is the one in the text.
"""
import argparse
import json
import re
import time

import numpy as np
import torch

from . import checkpoint
from .model import with_landmarks
from .pack import BLOCK
from .query import answers, as_pool, query_vectors
from .tasks import FILLER, INTRODUCTION, PASS_KEYS
from .tokenizer import BOS, load

STATEMENT, QUESTION = PASS_KEYS[0][0], "What is the pass key? The pass key is"
LARGEST = 50000
ANSWER = 8           # tokens: a space, five digits, and what ends the number


def document(encode, rng, tokens):
    """Text of about `tokens` tokens with a number in it, cut to whole blocks -> (uint16 [N, 63], number)"""
    count = tokens // BLOCK
    number = int(rng.integers(1, LARGEST + 1))
    statement = STATEMENT.format(number)
    room = count * BLOCK - len(encode("\n".join((INTRODUCTION, "", statement, "")))) - 10
    longest = len(FILLER + " ") * room // len(encode(FILLER))           # characters
    before = int(rng.integers(0, longest + 1))
    filler = " ".join([FILLER] * (longest // len(FILLER) + 10))
    head = "\n".join((INTRODUCTION, filler[:before], statement))
    ids = [BOS] + encode(head + "\n" + filler[:longest - before + 5 * len(FILLER)])
    assert 1 + len(encode(head)) <= count * BLOCK <= len(ids), "the text does not fill its blocks, or is cut at the number"
    return np.array(ids[:count * BLOCK], np.uint16).reshape(count, BLOCK), number


@torch.no_grad()
def best_blocks(model, rows, prompt, dtype, count):
    """Documents [B, N * R] and a prompt -> (pool of their blocks, the best of each document's by their number in it
    [B, count])"""
    _, memory = model.run_long(rows, dtype, top=max(model.shape.memory_layers))
    keys = model.landmark_keys(memory).flatten(2)
    scores = keys @ query_vectors(model, [prompt], dtype)[0]
    first = torch.arange(len(keys), device=keys.device)[:, None] * keys.shape[1]
    return as_pool(memory, model.shape.rows), scores.topk(min(count, keys.shape[1]), 1).indices + first


def right_answers(model, tokenizer, made, dtype, blocks):
    """made: [(tokens [N, 63], number)] of documents of one length -> how many numbers come out"""
    tokens = torch.from_numpy(np.stack([t for t, _ in made]).astype(np.int64)).to(model.embedding.device)
    rows = with_landmarks(tokens, model.shape.landmark)
    prompt = tokenizer.encode(QUESTION)
    pool, chosen = best_blocks(model, rows, prompt, dtype, blocks)
    ids = answers(model, [prompt] * len(made), pool, chosen, torch.ones_like(chosen, dtype=torch.bool), dtype, ANSWER)
    return sum(first_number(tokenizer.decode(i)) == number for i, (_, number) in zip(ids, made))


def first_number(answer):
    found = re.search(r"\d+", answer)
    return int(found[0]) if found else None


def wilson(right, count, z=1.96):
    """95 % interval of a share, in percent"""
    share = right / count
    middle, half = share + z * z / 2 / count, z * (share * (1 - share) / count + (z / 2 / count) ** 2) ** 0.5
    return [round(100 * (middle + sign * half) / (1 + z * z / count), 1) for sign in (-1, 1)]


def passkey(model, tokenizer, lengths, runs, blocks, dtype, seed=0):
    """Yields a table row for each length."""
    batch = max(1, 64 // model.shape.heads)       # documents at once: scores of a piece take 250 MB a head and document
    for length in lengths:
        began, right, rng = time.time(), 0, np.random.default_rng(seed + length)
        for first in range(0, runs, batch):
            made = [document(tokenizer.encode, rng, length) for _ in range(min(batch, runs - first))]
            right += right_answers(model, tokenizer, made, dtype, blocks)
        yield {"tokens": length, "runs": runs, "right": right, "right %": round(100 * right / runs, 1),
               "95 %": wilson(right, runs), "seconds": round(time.time() - began, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="a GGUF file, or a checkpoint")
    parser.add_argument("--config", default="", help="the checkpoint's config")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", default="")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024 << i for i in range(6)])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--blocks", type=int, default=4, help="blocks that an answer reads")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = checkpoint.open_model(options.model, options.config).to(device)
    table = []
    for row in passkey(model, load(options.tokenizer), options.lengths, options.runs, options.blocks,
                       torch.bfloat16 if device == "cuda" else torch.float32):
        table.append(row)
        print(json.dumps(row), flush=True)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as out:
            json.dump(table, out, indent=1)


if __name__ == "__main__":
    main()
