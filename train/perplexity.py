"""Perplexity of held-out books through memory.

Each text has 65 blocks (4,095 tokens). In the memory layers a row sees its own block and the near blocks and, of all that
lies further back, (a) nothing, (b) the 4 blocks whose landmarks score highest, chosen by each head of each row for itself,
in each layer, (c) everything within the shape's reach, as in training. Local layers are the same in all, and so are the
tokens scored.
"""
import glob

import numpy as np
import torch

from . import losses
from .json_lines import each_line
from .model import with_landmarks
from .pack import BLOCK, document_blocks

BLOCKS, BEST = 65, 4


def book_slices(folder, encode, blocks=BLOCKS, each=8):
    """Stretches of books, at even distances -> (uint16 [n, blocks, 63], number of the book of each)"""
    slices, owners = [], []
    records = [record for name in sorted(glob.glob(f"{folder}/books*.dev.jsonl")) for record in each_line(name)]
    size = blocks * BLOCK - 1
    for number, record in enumerate(records):
        ids = encode(record["text"])
        count = min(each, len(ids) // size)
        for first in np.linspace(0, len(ids) - size, count).astype(int) if count else ():
            slices.append(document_blocks(ids[first:first + size]))
            owners.append(number)
    if not slices:
        raise FileNotFoundError(f"no books*.dev.jsonl in {folder} has a book of {size} tokens")
    return np.stack(slices), np.array(owners)


@torch.no_grad()
def slice_losses(model, slices, dtype, batch, **reads):
    """-> mean loss of each slice, and of its second half [n, 2]"""
    shape, out = model.shape, []
    for first in range(0, len(slices), batch):
        tokens = torch.from_numpy(slices[first:first + batch].astype(np.int64)).to(model.embedding.device)
        rows = with_landmarks(tokens, shape.landmark)
        h, _ = model.run_long(rows, dtype, piece=tokens.shape[1], **reads)
        target = losses.next_tokens(rows, torch.zeros_like(tokens[:, :, 0]), shape)
        half = rows.shape[1] // 2
        for states, aim in zip(h, target):
            both = [losses.token_loss(states[part], model.output_norm, model.output_matrix(), aim[part], shape.epsilon)
                    / (aim[part] != losses.IGNORED).sum() for part in (slice(0, None), slice(half, None))]
            out.append(torch.stack(both))
    return torch.stack(out).double().cpu().numpy()


def against(losses_, baseline, owners):
    """Change of the perplexity in percent and half of its 95 % interval, over books."""
    books = np.unique(owners)
    by_book = np.array([(losses_ - baseline)[owners == book].mean() for book in books])
    change = np.exp(by_book.mean())
    return round(100 * (change - 1), 2), round(196 * change * by_book.std() / len(books) ** 0.5, 2)


def perplexity(model, folder, encode, dtype, blocks=BLOCKS):
    """-> table of the perplexities, their changes against (a), and the same in the second half of each text"""
    slices, owners = book_slices(folder, encode, blocks)
    near, batch = model.shape.near_blocks - 1, max(1, 32 // model.shape.heads)
    variants = {"local": {"reach": near}, f"memory, k = {BEST}": {"reach": blocks, "best": BEST}, "reach": {}}
    out, baseline = {"books": len(np.unique(owners)), "texts": len(slices)}, None
    for name, reads in variants.items():
        found = slice_losses(model, slices, dtype, batch, **reads)
        baseline = found if baseline is None else baseline
        for column, part in enumerate(("", ", second half")):
            by_book = [found[owners == book, column].mean() for book in np.unique(owners)]
            out[name + part] = {"perplexity": round(float(np.exp(np.mean(by_book))), 3),
                                "change %": against(found[:, column], baseline[:, column], owners)}
    return out
