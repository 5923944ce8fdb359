"""Questions to a memory of blocks, as the engine answers them: pass 1, the blocks it finds, pass 2.

Letters as in landmark_attention.py; P prompts, K blocks that a prompt reads, M blocks to choose from, D' width of a joint
landmark. A *pool* is a memory by blocks: {layer: {"k", "v": [M, R, G, D]}}.
"""
import numpy as np
import torch

from .teacher import padded
from .tokenizer import EOS, NEWLINE


def as_pool(memory, rows):
    """{layer: {"k", "v": [B, N * R, G, D], ...}} -> pool of B * N blocks"""
    return {layer: {name: states[name].unflatten(1, (-1, rows)).flatten(0, 1) for name in ("k", "v")}
            for layer, states in memory.items()}


def read_from(pool, chosen):
    """chosen [P, K] -> memory of P prompts, as run_prompts takes it"""
    return {layer: {name: states[name][chosen].flatten(1, 2) for name in ("k", "v")} for layer, states in pool.items()}


def prompt_rows(model, prompts, length):
    """Lists of ids -> (rows [P, length] filled with padding, lengths [P])"""
    device = model.embedding.device
    rows = torch.from_numpy(padded(prompts, length).astype(np.int64)).to(device)
    return rows, torch.tensor([len(p) for p in prompts], device=device)


@torch.no_grad()
def query_vectors(model, prompts, dtype, batch=512):
    """Pooled queries of prompts, which are shorter than a block -> [P, D']"""
    out = []
    for first in range(0, len(prompts), batch):
        rows, length = prompt_rows(model, prompts[first:first + batch], model.shape.block_size)
        tokens = torch.arange(rows.shape[1], device=rows.device) < length[:, None]
        out.append(model.pooled_query(model.run_prompts(rows, dtype=dtype), tokens).flatten(1))
    return torch.cat(out)


@torch.no_grad()
def continued(tokens, length, count, logits):
    """The likeliest tokens one after another: tokens [P, T], with room for them behind the first `length` [P]; logits(tokens,
    last [P]) -> what follows the tokens `last` [P, V]. -> [(at most `count` ids up to a newline or the end of the text, sum of
    the log-probabilities of these and of the end)]"""
    begins, length = length.tolist(), length.clone()
    tokens = tokens * (torch.arange(tokens.shape[1], device=tokens.device) < length[:, None])
    each, sums = torch.arange(len(tokens), device=tokens.device), torch.zeros(len(tokens), device=tokens.device)
    ended = torch.zeros_like(each, dtype=torch.bool)
    for _ in range(count):
        best, token = logits(tokens, length - 1).float().log_softmax(-1).max(-1)
        sums += torch.where(ended, 0, best)
        length = (length + 1).clamp(max=tokens.shape[1])
        tokens[each, length - 1] = token
        ended |= (token == NEWLINE) | (token == EOS)
        if ended.all():
            break
    return [(up_to_end(ids[first:first + count]), total) for ids, first, total in zip(tokens.tolist(), begins, sums.tolist())]


def greedy(model, rows, length, memory, visible, dtype, count):
    """Continues prompts, whose rows must have room for it: rows [B * P, T] with `length` [B * P] tokens, memory and
    visible [B, P, N] as in run_prompts. -> lists of at most `count` ids, up to a newline or the end of the text"""
    each = torch.arange(len(rows), device=rows.device)

    def logits(rows, last):
        return model.logits(model.run_prompts(rows, memory, visible, dtype)[0][each, last])

    return [ids for ids, _ in continued(rows, length, count, logits)]


def up_to_end(ids):
    return ids[:next((i for i, token in enumerate(ids) if token in (NEWLINE, EOS)), len(ids))]


def answers(model, prompts, pool, chosen, visible, dtype, count, batch=128):
    """Greedy answers, of at most `count` tokens, to prompts of which each reads blocks of its own: chosen, visible [P, K].
    A block has no room for more than prompt and answer together. -> lists of ids"""
    out, device = [], model.embedding.device
    for first in range(0, len(prompts), batch):
        part = slice(first, first + batch)
        longest = max(len(p) for p in prompts[part])
        rows, length = prompt_rows(model, prompts[part], min(longest + count, model.shape.block_size))
        out += greedy(model, rows, length, read_from(pool, chosen[part].to(device)), visible[part, None].to(device), dtype,
                      count)
    return out
