#!/usr/bin/python3
"""Makes perplexity.json, which tests/golden/test_golden_indexer.c reads: tests/golden/perplexity.py, with the trainer's PyTorch.

For the document of golden-tiny-slot.json and some numbers of near, far and best blocks that a row of a memory layer reads (see src/model/indexer.h), and whether keys and values of the far ones are rounded to float16: the negative logarithms of the probabilities of all tokens but the first.
"""
import contextlib
import json
import os
import sys

import torch

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(FOLDER)))
from train import landmark_attention, losses  # noqa: E402
from train.weights import model_from_gguf  # noqa: E402

FAR_BEST_AND_ROUNDED = [(0, 0, False), (100, 1, False), (100, 3, False), (4, 2, False), (2, 2, False), (100, 100, False),
                        (100, 100, True)]


@contextlib.contextmanager
def far_rows_rounded(model):
    """The trainer rotates the keys of far blocks to their offsets, and no others, and reads their values in read_blocks."""
    rotate, read_blocks = landmark_attention.rotate, landmark_attention.read_blocks
    ordinary = (torch.arange(model.shape.rows) < model.shape.rows - 1)[:, None]  # landmarks are kept as they are

    def rounded(x):
        return torch.where(ordinary.repeat(x.shape[2] // len(ordinary), 1), x.half().to(x.dtype), x)

    def rotate_rounded(x, table):
        return rotate(rounded(x) if table is offsets and x.shape[1] == model.shape.kv_heads else x, table)

    offsets, table = None, model.table

    def remember(kind, length, device):
        nonlocal offsets
        found = table(kind, length, device)
        offsets = found if kind == "offset" else offsets
        return found

    landmark_attention.rotate, model.table = rotate_rounded, remember
    landmark_attention.read_blocks = lambda scores, gates, values: read_blocks(scores, gates, rounded(values))
    try:
        yield
    finally:
        landmark_attention.rotate, landmark_attention.read_blocks, model.table = rotate, read_blocks, table


@torch.no_grad()
def main():
    model, _ = model_from_gguf(f"{FOLDER}/tiny-slot.gguf")
    near = model.shape.near_blocks - 1  # the only number beside which the trainer chooses the best
    with open(f"{FOLDER}/golden-tiny-slot.json", encoding="utf-8") as file:
        rows = json.load(file)["rows"]
    rows = torch.tensor([rows])
    target = losses.next_tokens(rows, torch.zeros(1, rows.shape[1] // model.shape.rows), model.shape)[0]
    out = []
    for far, best, rounded in FAR_BEST_AND_ROUNDED:
        with far_rows_rounded(model) if rounded else contextlib.nullcontext():
            h, _ = model.run_long(rows, torch.float32, piece=4, reach=near + far, best=best if best < far else None)
        loss = [float(losses.token_loss(h[0, i:i + 1], model.output_norm, model.output_matrix(), target[i:i + 1],
                                        model.shape.epsilon)) for i in torch.nonzero(target != losses.IGNORED)[:, 0]]
        out.append({"near": near, "far": far, "best": best, "rounded": rounded, "losses": [round(x, 5) for x in loss]})
    with open(f"{FOLDER}/perplexity.json", "w", encoding="utf-8") as file:
        json.dump(out, file)
        file.write("\n")
    print([(item["near"], item["far"], item["best"], sum(item["losses"]) / len(item["losses"])) for item in out])


if __name__ == "__main__":
    main()
