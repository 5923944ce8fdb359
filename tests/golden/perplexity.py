#!/usr/bin/python3
"""Makes perplexity.json, which tests/golden/test_golden_indexer.c reads: tests/golden/perplexity.py, with the trainer's PyTorch.

For the document of golden-tiny-slot.json and some numbers of near, far and best blocks that a row of a memory layer reads (see src/model/indexer.h): the negative logarithms of the probabilities of all tokens but the first.
"""
import json
import os
import sys

import torch

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(FOLDER)))
from train import losses  # noqa: E402
from train.weights import model_from_gguf  # noqa: E402

FAR_AND_BEST = [(0, 0), (100, 1), (100, 3), (4, 2), (2, 2), (100, 100)]


@torch.no_grad()
def main():
    model, _ = model_from_gguf(f"{FOLDER}/tiny-slot.gguf")
    near = model.shape.near_blocks - 1  # the only number beside which the trainer chooses the best
    with open(f"{FOLDER}/golden-tiny-slot.json", encoding="utf-8") as file:
        rows = json.load(file)["rows"]
    rows = torch.tensor([rows])
    target = losses.next_tokens(rows, torch.zeros(1, rows.shape[1] // model.shape.rows), model.shape)[0]
    out = []
    for far, best in FAR_AND_BEST:
        h, _ = model.run_long(rows, torch.float32, piece=4, reach=near + far, best=best if best < far else None)
        loss = [float(losses.token_loss(h[0, i:i + 1], model.output_norm, model.output_matrix(), target[i:i + 1],
                                        model.shape.epsilon)) for i in torch.nonzero(target != losses.IGNORED)[:, 0]]
        out.append({"near": near, "far": far, "best": best, "losses": [round(x, 5) for x in loss]})
    with open(f"{FOLDER}/perplexity.json", "w", encoding="utf-8") as file:
        json.dump(out, file)
        file.write("\n")
    print([(item["near"], item["far"], item["best"], sum(item["losses"]) / len(item["losses"])) for item in out])


if __name__ == "__main__":
    main()
