#!/usr/bin/python3
"""Makes head-scores.json, which tests/golden/test_golden_query.c reads.

    tests/golden/head_scores.py REFERENCE

REFERENCE is the reference implementation of the model, a Python file with a class Model; the queries and keys come from its
forward pass. The documents and prompts are those of golden-*.json.

For each of these files by name: the blocks, each with a value for every memory layer and head: the mean over the prompt's
tokens (landmarks left out) of the logarithm of the sum, over the 63 tokens of the block, of the exponential of the scaled
product of the token's far query and the key at its offset in the block.
"""
import glob
import importlib.util
import json
import os
import sys

import numpy as np

FOLDER = os.path.dirname(os.path.abspath(__file__))


def head_scores(model, document, prompt):
    """-> [blocks][memory layers x heads]"""
    rows, prompt = model.rows(document), np.asarray(model.prompt_rows(prompt))
    _, memory, _, _ = model.forward(rows)
    _, _, queries, _ = model.forward(prompt)
    blocks, size, scores = len(rows) // model.bs, model.bs, []
    for layer in model.mem:
        keys = memory[layer][0]
        for head in range(model.H):
            asked = queries[layer][head][prompt != model.lm]
            key = keys[head // (model.H // model.KV)].reshape(blocks, size, model.hd)[:, :size - 1]
            key = np.stack([model.rope(block, np.arange(size - 1)) for block in key])
            products = np.einsum("td,brd->btr", asked, key) / np.sqrt(model.hd)
            scores.append(np.log(np.exp(products).sum(-1)).mean(-1))
    return np.stack(scores, 1)


def main():
    specification = importlib.util.spec_from_file_location("reference", sys.argv[1])
    reference = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(reference)
    lines = []
    for name in ("tiny-slot-all", "tiny-stingy-all", "tiny-slot"):
        model = reference.Model(f"{FOLDER}/{name}.gguf")
        for path in sorted(glob.glob(f"{FOLDER}/golden-{name}.json") + glob.glob(f"{FOLDER}/golden-{name}-[0-9]*.json")):
            golden = json.load(open(path, encoding="utf-8"))
            scores = head_scores(model, golden["document_ids"], golden["question"]["prompt_ids"])
            values = [[round(float(value), 5) for value in block] for block in scores]
            lines.append(f"{json.dumps(os.path.basename(path))}: {json.dumps(values)}")
    with open(f"{FOLDER}/head-scores.json", "w", encoding="utf-8") as out:
        out.write("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
