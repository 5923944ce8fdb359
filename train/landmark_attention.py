"""Attention of the landmark model: the grouped softmax, naive and in blocks, and the sliding window.

Letters: B sequences, T rows, N blocks, R rows of a block (64: 63 tokens and a landmark), H query heads,
G key/value heads, D head width, M memory blocks. Queries are [B, T, H, D], keys and values [B, T, G, D],
both before rotation. Query head h reads key/value head h // (H // G).

A row's first softmax runs over its own block's tokens and the landmarks it sees; each block seen that way
has its own softmax over its tokens, weighted by what its landmark got (Mohtashami and Jaggi, 2023).
"""
import math

import torch
import torch.nn.functional as F

NEVER = -1e30  # finite, so that a row of nothing but masked scores stays a number


def rotary_table(positions, head_width, base):
    """positions [T] -> (cos, sin) [T, D/2] in float32."""
    inverse = base ** (-torch.arange(0, head_width, 2, device=positions.device, dtype=torch.float64) / head_width)
    angle = positions.double()[:, None] * inverse[None]
    return angle.cos().float(), angle.sin().float()


def rotate(x, table):
    """Rotates interleaved pairs: x [..., T, D] by the tables of its T positions."""
    cos, sin = table
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), -1).flatten(-2).to(x.dtype)


def heads_first(x):
    """[B, T, H, D] -> [B, H, T, D]"""
    return x.transpose(1, 2)


def per_query_head(x, heads):
    """Keys or values [B, G, ...] -> [B, H, ...]"""
    return x.repeat_interleave(heads // x.shape[1], 1)


# ---------------------------------------------------------------- naive, for any shape: the CPU reference


def window_attention_naive(q, k, v, shape):
    """Local layers, everything T x T."""
    length, scale = q.shape[1], 1 / math.sqrt(shape.head_width)
    position = torch.arange(length, device=q.device)
    table = rotary_table(position, shape.head_width, shape.rotary_base)
    keys, values = (per_query_head(heads_first(x), shape.heads) for x in (k, v))
    scores = rotate(heads_first(q), table) @ rotate(keys, table).transpose(-1, -2) * scale
    distance = position[:, None] - position[None]
    seen = (distance >= 0) & (distance < shape.window)
    return heads_first(scores.masked_fill(~seen, -math.inf).softmax(-1) @ values)


def far_query_table(shape, length, memory_blocks, assumed=8, device=None):
    """Rotation of the queries that score far blocks. `stingy` places them behind the slots of the blocks read
    (`assumed` of them where none are read yet)."""
    position = torch.arange(length, device=device)
    if shape.slot:
        position = position % shape.rows + shape.far
    else:
        position = position + ((memory_blocks or assumed) + 1) * shape.rows
    return rotary_table(position, shape.head_width, shape.rotary_base)


def grouped_attention_naive(q, k, v, shape, memory=None, slots=None):
    """Memory layers, everything T x T. memory: (keys, values) [B, M * R, G, D] of far blocks in order of age, or
    None; slots [M]: their slots (`stingy`). -> [B, T, H, D], landmark probabilities of the memory [B, H, T, M]."""
    length, rows, scale = q.shape[1], shape.rows, 1 / math.sqrt(shape.head_width)
    blocks = -(-length // rows)
    memory_blocks = memory[0].shape[1] // rows if memory else 0
    position = torch.arange(length, device=q.device)
    offset, block = position % rows, position // rows
    base = (memory_blocks + 1) * rows if memory_blocks and not shape.slot else 0
    q, k, v = heads_first(q), per_query_head(heads_first(k), shape.heads), per_query_head(heads_first(v), shape.heads)
    table = rotary_table(position + base, shape.head_width, shape.rotary_base)
    scores = rotate(q, table) @ rotate(k, table).transpose(-1, -2) * scale
    far_q = rotate(q, far_query_table(shape, length, memory_blocks, device=q.device))
    back = block[:, None] - block[None]
    if shape.slot:
        at_offset = rotary_table(offset, shape.head_width, shape.rotary_base)
        scores = torch.where(back < shape.near_blocks, scores, far_q @ rotate(k, at_offset).transpose(-1, -2) * scale)
    landmark = (offset == rows - 1)[None]
    own = (back == 0) & (position[:, None] >= position[None]) & ~landmark
    gates = (back > 0) & (back <= shape.reach) & landmark
    remote = _memory_scores(far_q, memory, slots, shape, scale) if memory_blocks else scores[..., :0]
    first = torch.cat((scores.masked_fill(~(own | gates), -math.inf), remote[..., rows - 1::rows]), -1).softmax(-1)
    near = first[..., :length]
    padded = F.pad(scores.masked_fill(landmark, NEVER), (0, blocks * rows - length), value=NEVER)
    within = padded.unflatten(-1, (blocks, rows)).softmax(-1)
    weight = F.pad((near * gates)[..., rows - 1::rows], (0, blocks - length // rows))
    weights = near * own + (within * weight[..., None]).flatten(-2)[..., :length]
    out, mass = weights @ v, first[..., length:]
    if memory_blocks:
        inside = remote.unflatten(-1, (memory_blocks, rows))[..., :-1].softmax(-1)
        values = per_query_head(heads_first(memory[1]), shape.heads).unflatten(2, (memory_blocks, rows))[..., :-1, :]
        out = out + torch.einsum("bhtm,bhtmr,bhmrd->bhtd", mass, inside, values)
    return heads_first(out), mass


def _memory_scores(far_q, memory, slots, shape, scale):
    """Scores of the memory's rows: [B, H, T, M * R]."""
    position = torch.arange(memory[0].shape[1], device=far_q.device)
    if shape.slot:
        position = position % shape.rows
    else:
        position = torch.as_tensor(slots, device=far_q.device).repeat_interleave(shape.rows) * shape.rows + position % shape.rows
    keys = per_query_head(heads_first(memory[0]), shape.heads)
    return far_q @ rotate(keys, rotary_table(position, shape.head_width, shape.rotary_base)).transpose(-1, -2) * scale


# ---------------------------------------------------------------- in blocks, for training (`slot` only)


def window_bias(documents, shape, dtype):
    """Additive mask of local layers. documents [B, N]: number of each block's document.
    Queries in chunks of C >= window rows (whole blocks), each with the keys of its chunk and of the one before:
    [B, chunks, 1, C, 2C]."""
    rows = shape.rows
    per_chunk = -(-shape.window // rows)
    chunk = per_chunk * rows
    device = documents.device
    own = documents.unflatten(1, (-1, per_chunk))
    before = F.pad(own[:, :-1], (0, 0, 1, 0), value=-1)
    same = own[..., :, None] == torch.cat((before, own), -1)[..., None, :]
    distance = torch.arange(chunk, device=device)[:, None] + chunk - torch.arange(2 * chunk, device=device)[None]
    seen = same.repeat_interleave(rows, -1).repeat_interleave(rows, -2) & (distance >= 0) & (distance < shape.window)
    return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill(~seen, NEVER)[:, :, None]


def softmax_attention(q, k, v, bias=None, causal=False):
    """Plain attention over [B, H, T, D], through the fused kernels where torch has them."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=causal)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if causal:
        bias = torch.full(scores.shape[-2:], NEVER, dtype=scores.dtype, device=q.device).triu(1)
    if bias is not None:
        scores = scores + bias
    return scores.softmax(-1) @ v


def window_attention(q, k, v, table, bias, shape):
    """Local layers of documents: T rows, a multiple of the chunk; `table` rotates the positions 0 .. T-1."""
    batch, length = q.shape[:2]
    chunk = bias.shape[-2]
    chunks = length // chunk
    q, k, v = rotate(heads_first(q), table), rotate(heads_first(k), table), heads_first(v)

    def with_chunk_before(x):
        x = x.unflatten(2, (chunks, chunk))
        x = torch.cat((F.pad(x[:, :, :-1], (0, 0, 0, 0, 1, 0)), x), 3)
        return per_query_head(x, shape.heads).transpose(1, 2).flatten(0, 1)

    out = softmax_attention(q.unflatten(2, (chunks, chunk)).transpose(1, 2).flatten(0, 1),
                            with_chunk_before(k), with_chunk_before(v), bias.flatten(0, 1))
    return out.unflatten(0, (batch, chunks)).transpose(2, 3).reshape(batch, length, shape.heads, -1)


def causal_attention(q, k, v, table, shape):
    """Local layers of prompts, which are shorter than the window and than a block."""
    q, k = rotate(heads_first(q), table), rotate(heads_first(k), table)
    return heads_first(softmax_attention(q, per_query_head(k, shape.heads), per_query_head(heads_first(v), shape.heads),
                                         causal=True))


def far_scores(far_q, far_k, blocks):
    """far_q [B, G, H/G, T, D], far_k [B, G, N * R, D], rotated and scaled -> [B, G, H/G, T, N, R]."""
    scores = far_q.flatten(2, 3) @ far_k.transpose(-1, -2)
    return scores.unflatten(2, far_q.shape[2:4]).unflatten(-1, (blocks, -1))


def read_blocks(scores, gates, values):
    """Each block's own softmax over its tokens times its gate. scores [..., T, N, R], gates [..., T, N],
    values [B, G, N * R, D] -> [B, G, H/G, T, D]"""
    weights = scores[..., :-1].float().softmax(-1) * gates[..., None]
    weights = F.pad(weights, (0, 1)).to(values.dtype).flatten(-2)
    return (weights.flatten(2, 3) @ values).unflatten(2, weights.shape[2:4])


def grouped(q, kv_heads):
    """[B, T, H, D] -> [B, G, H/G, T, D]"""
    return q.unflatten(2, (kv_heads, -1)).permute(0, 2, 3, 1, 4)


def grouped_attention(q, k, v, tables, documents, shape, best=None):
    """Memory layers of documents. T = N * R rows; documents [B, N]; tables: `true` positions 0 .. T-1, `far_query`
    and `offset` of each row. With `best`, each head of each row reads that many of the far blocks, those whose landmarks
    score highest. -> ([B, T, H, D], log-sum-exp of each row's own block [B, G, H/G, T])"""
    batch, length = q.shape[:2]
    rows, near = shape.rows, shape.near_blocks
    blocks = length // rows
    q = grouped(q, shape.kv_heads) / math.sqrt(shape.head_width)
    k, v = heads_first(k), heads_first(v)
    index = torch.arange(blocks, device=q.device)
    back = index[:, None] - index[None]
    seen = (documents[:, :, None] == documents[:, None]) & (back > 0) & (back <= shape.reach)     # [B, N, N]

    far = far_scores(rotate(q, tables["far_query"]), rotate(k, tables["offset"]), blocks)
    far_seen = (seen & (back >= near)).repeat_interleave(rows, 1)[:, None, None]                  # [B, 1, 1, T, N]
    far_gates = far[..., -1].float().masked_fill(~far_seen, NEVER)
    if best is not None and best < blocks:
        far_gates = far_gates.masked_fill(far_gates < far_gates.topk(best, -1).values[..., -1:], NEVER)

    def last_blocks(x):
        """[B, G, T, D] -> [B, G, N, near * R, D]: each block behind the near - 1 before it"""
        x = F.pad(x.unflatten(2, (blocks, rows)), (0, 0, 0, 0, near - 1, 0))
        return torch.cat([x[:, :, i:i + blocks] for i in range(near)], 3)

    true_q = rotate(q, tables["true"]).unflatten(3, (blocks, rows)).permute(0, 1, 3, 2, 4, 5)      # [B, G, N, H/G, R, D]
    scores = true_q.flatten(3, 4) @ last_blocks(rotate(k, tables["true"])).transpose(-1, -2)
    scores = scores.unflatten(3, true_q.shape[3:5]).unflatten(-1, (near, rows)).float()           # [B, G, N, H/G, R, near, R]
    row = torch.arange(rows, device=q.device)
    own_seen = (row[:, None] >= row[None]) & (row[None] < rows - 1)
    own = scores[..., -1, :].masked_fill(~own_seen, NEVER)                                        # [B, G, N, H/G, R, R]
    near_seen = torch.stack([F.pad(seen.diagonal(-j, 1, 2), (j, 0)) for j in range(near - 1, 0, -1)], -1) \
        if near > 1 else seen.new_zeros(batch, blocks, 0)                                         # [B, N, near - 1]
    near_gates = scores[..., :-1, -1].masked_fill(~near_seen[:, None, :, None, None], NEVER)

    by_block = far_gates.unflatten(3, (blocks, rows)).permute(0, 1, 3, 2, 4, 5)                   # [B, G, N, H/G, R, N]
    first = torch.cat((own, near_gates, by_block), -1).softmax(-1)
    near_gate = first[..., rows:rows + near - 1]
    weights = F.pad(scores[..., :-1, :-1].softmax(-1) * near_gate[..., None], (0, 1)).flatten(-2)
    weights = torch.cat((weights, first[..., :rows]), -1).to(v.dtype)
    out = (weights.flatten(3, 4) @ last_blocks(v)).unflatten(3, true_q.shape[3:5])                 # [B, G, N, H/G, R, D]
    out = out.transpose(2, 3).flatten(3, 4)
    far_gate = first[..., rows + near - 1:].transpose(2, 3).flatten(3, 4)
    out = out + read_blocks(far, far_gate, v)
    own_sum = own.logsumexp(-1).transpose(2, 3).flatten(3, 4)
    return out.permute(0, 3, 1, 2, 4).flatten(2, 3), own_sum


def prompt_attention(q, k, v, tables, memory, visible, shape):
    """Memory layers of P prompts of T rows (T < R) for each of B contexts, whose blocks are far memory.
    q [B * P, T, H, D]; memory: (keys, values) [B, N * R, G, D] before rotation; visible [B, P, N]; tables: `true`
    and `far_query` of the T rows, `memory` of the N * R. -> ([B * P, T, H, D], own log-sum-exp [B * P, G, H/G, T])"""
    batch, prompts, blocks = visible.shape
    length = q.shape[1]
    q = grouped(q, shape.kv_heads) / math.sqrt(shape.head_width)                                  # [BP, G, H/G, T, D]
    k, v = heads_first(k), heads_first(v)
    own = rotate(q, tables["true"]).flatten(2, 3) @ rotate(k, tables["true"]).transpose(-1, -2)
    row = torch.arange(length, device=q.device)
    own = own.unflatten(2, q.shape[2:4]).float().masked_fill(row[:, None] < row[None], NEVER)     # [BP, G, H/G, T, T]

    def by_context(x):
        """[BP, G, H/G, T, D] -> [B, G, H/G, P * T, D]"""
        return x.unflatten(0, (batch, prompts)).permute(0, 2, 3, 1, 4, 5).flatten(3, 4)

    def by_prompt(x):
        return x.unflatten(3, (prompts, length)).permute(0, 3, 1, 2, 4, 5).flatten(0, 1)

    far = far_scores(by_context(rotate(q, tables["far_query"])), rotate(heads_first(memory[0]), tables["memory"]), blocks)
    gates = by_prompt(far[..., -1].float().masked_fill(~visible.repeat_interleave(length, 1)[:, None, None], NEVER))
    first = torch.cat((own, gates), -1).softmax(-1)
    read = read_blocks(far, by_context(first[..., length:]), heads_first(memory[1]))
    out = (first[..., :length].to(v.dtype).flatten(2, 3) @ v).unflatten(2, q.shape[2:4]) + by_prompt(read)
    return out.permute(0, 3, 1, 2, 4).flatten(2, 3), own.logsumexp(-1)
