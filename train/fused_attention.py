"""The grouped softmax of landmark_attention.grouped_attention as Triton kernels, forward and backward (`slot` only).

A tile is a block: some rows' scores of its R rows. The softmax over its R - 1 tokens is known as soon as the tile is, and
its weight is what its landmark gets in the row's first softmax, which is summed up from tile to tile as in flash
attention (Dao et al., 2022). Nothing larger than the queries is stored; the backward pass computes the tiles again,
once in the order of the queries and once in that of the keys, so that every sum has one owner and one order.

Letters as in landmark_attention.py; J query heads that share a key/value head are read together, their rows one after
another in a tile. In the kernels scores are in units of log 2: `scale` is log2(e) / sqrt(D).
"""
import math

import torch
import triton
import triton.language as tl

from .landmark_attention import rotate

NEVER = tl.constexpr(-1e30)  # as in landmark_attention.py
LOG2_E = tl.constexpr(1.4426950408889634)


# ---------------------------------------------------------------- parts of the kernels


@triton.jit
def load_rows(tensor, sequence, block, blocks, head, HEADS: tl.constexpr, R: tl.constexpr, D: tl.constexpr, J: tl.constexpr):
    """A block's rows under J heads: of [B, T, HEADS, D] -> [J * R, D]"""
    return tl.load(row_pointers(tensor, sequence, block, blocks, head, HEADS, R, D, J))


@triton.jit
def row_pointers(tensor, sequence, block, blocks, head, HEADS: tl.constexpr, R: tl.constexpr, D: tl.constexpr, J: tl.constexpr):
    start = tensor + ((sequence * blocks + block).to(tl.int64) * (R * HEADS) + head) * D
    index = tl.arange(0, J * R)
    return start + ((index % R) * (HEADS * D) + (index // R) * D)[:, None] + tl.arange(0, D)[None]


@triton.jit
def number_pointers(tensor, sequence, block, blocks, head, HEADS: tl.constexpr, R: tl.constexpr, J: tl.constexpr):
    """A number for each of a block's rows under J heads: of [B, HEADS, T] -> [J * R]"""
    index = tl.arange(0, J * R)
    return tensor + ((sequence * HEADS + head + index // R) * blocks + block) * R + index % R


@triton.jit
def first_seen(documents, block, REACH: tl.constexpr, SPAN: tl.constexpr):
    """First block of the same document among the REACH before `block`, or `block`. documents [N]"""
    other = block - REACH + tl.arange(0, SPAN)
    inside = (other >= 0) & (other < block)
    same = tl.load(documents + other, mask=inside, other=0) == tl.load(documents + block)
    return tl.min(tl.where(inside & same, other, block), 0)


@triton.jit
def last_seeing(documents, block, blocks, REACH: tl.constexpr, SPAN: tl.constexpr):
    """Last block of the same document among the REACH behind `block`, or `block`. documents [N]"""
    other = block + REACH - tl.arange(0, SPAN)
    inside = (other > block) & (other < blocks)
    same = tl.load(documents + other, mask=inside, other=0) == tl.load(documents + block)
    return tl.max(tl.where(inside & same, other, block), 0)


@triton.jit
def own_scores(q, k, scale, R: tl.constexpr, J: tl.constexpr):
    """Scores of the rows' own block: tokens up to the row. -> [J * R, R]"""
    row = tl.arange(0, J * R)[:, None] % R
    column = tl.arange(0, R)[None]
    scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
    return tl.where((column <= row) & (column < R - 1), scores, NEVER)


@triton.jit
def remote_scores(q, k, same, scale, R: tl.constexpr):
    """-> exponentials of another block's scores [J * R, R], 0 for its landmark, their sums and the landmark's scores,
    both [J * R]"""
    landmark = tl.arange(0, R)[None] == R - 1
    scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
    gate = tl.where(same, tl.sum(tl.where(landmark, scores, 0.0), 1), NEVER)
    scores = tl.where(landmark, NEVER, scores)
    weights = tl.exp2(scores - tl.max(scores, 1)[:, None])
    return weights, tl.sum(weights, 1), gate


# ---------------------------------------------------------------- forward


@triton.jit
def read_blocks(q, keys, values, documents, sequence, begin, end, block, blocks, key_head, scale, top, mass, out,
                KEY_HEADS: tl.constexpr, R: tl.constexpr, D: tl.constexpr):
    """Adds the blocks begin .. end - 1 to the state of the first softmax: its greatest score `top`, the sum of its
    exponentials `mass` [J * R], the sum of what they read `out` [J * R, D]."""
    document = tl.load(documents + block)
    for other in range(begin, end):
        k = load_rows(keys, sequence, other, blocks, key_head, KEY_HEADS, R, D, 1)
        v = load_rows(values, sequence, other, blocks, key_head, KEY_HEADS, R, D, 1)
        weights, within, gate = remote_scores(q, k, tl.load(documents + other) == document, scale, R)
        new_top = tl.maximum(top, gate)
        kept = tl.exp2(top - new_top)
        weight = tl.exp2(gate - new_top)
        weights *= (weight / within)[:, None]
        out = tl.dot(weights.to(v.dtype), v, out * kept[:, None], input_precision="ieee")
        mass = mass * kept + weight
        top = new_top
    return top, mass, out


@triton.jit(do_not_specialize=["blocks"])
def forward_kernel(q_true, q_far, k_true, k_offset, values, documents, out_rows, total_sum, own_sum, blocks, scale,
                   HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, R: tl.constexpr, D: tl.constexpr, J: tl.constexpr,
                   NEAR: tl.constexpr, REACH: tl.constexpr, SPAN: tl.constexpr):
    """A program: the rows of a block under J heads. -> their output, the logarithm of the first softmax's sum
    (base 2), and that of the own block's part (base e)"""
    block = blocks - 1 - tl.program_id(0)  # those that see most begin first
    head = tl.program_id(1) * J
    sequence = tl.program_id(2)
    key_head = head // (HEADS // KEY_HEADS)
    documents += sequence * blocks
    q = load_rows(q_true, sequence, block, blocks, head, HEADS, R, D, J)
    k = load_rows(k_true, sequence, block, blocks, key_head, KEY_HEADS, R, D, 1)
    v = load_rows(values, sequence, block, blocks, key_head, KEY_HEADS, R, D, 1)
    scores = own_scores(q, k, scale, R, J)
    top = tl.max(scores, 1)
    weights = tl.exp2(scores - top[:, None])
    mass = tl.sum(weights, 1)
    tl.store(number_pointers(own_sum, sequence, block, blocks, head, HEADS, R, J), (top + tl.log2(mass)) / LOG2_E)
    out = tl.dot(weights.to(v.dtype), v, input_precision="ieee")
    first = first_seen(documents, block, REACH, SPAN)
    near = tl.maximum(first, block - NEAR + 1)
    top, mass, out = read_blocks(q, k_true, values, documents, sequence, near, block, block, blocks, key_head, scale,
                                 top, mass, out, KEY_HEADS, R, D)
    q = load_rows(q_far, sequence, block, blocks, head, HEADS, R, D, J)
    top, mass, out = read_blocks(q, k_offset, values, documents, sequence, first, near, block, blocks, key_head, scale,
                                 top, mass, out, KEY_HEADS, R, D)
    tl.store(number_pointers(total_sum, sequence, block, blocks, head, HEADS, R, J), top + tl.log2(mass))
    tl.store(row_pointers(out_rows, sequence, block, blocks, head, HEADS, R, D, J),
             (out / mass[:, None]).to(out_rows.dtype.element_ty))


# ---------------------------------------------------------------- backward
# Of the first softmax, with p what an item got and x what it read: ds = p (dO . x - dO . O); dO . O is `delta`.


@triton.jit
def own_gradient(q, k, v, d_out, d_own, total, own, delta, scale, R: tl.constexpr, J: tl.constexpr):
    """-> weights of the own block's values, gradient of its scores (base e), both [J * R, R]"""
    scores = own_scores(q, k, scale, R, J)
    weights = tl.exp2(scores - total[:, None])
    d_weights = tl.dot(d_out, tl.trans(v), input_precision="ieee")
    d_scores = weights * (d_weights - delta[:, None]) + tl.exp2(scores - own[:, None] * LOG2_E) * d_own[:, None]
    return weights, d_scores


@triton.jit
def remote_gradient(q, k, v, d_out, same, total, delta, scale, R: tl.constexpr):
    """-> weights of another block's values, gradient of its scores, landmark included (base e), both [J * R, R]"""
    weights, within, gate = remote_scores(q, k, same, scale, R)
    weight = tl.exp2(gate - total)
    d_weights = tl.dot(d_out, tl.trans(v), input_precision="ieee")
    read = tl.sum(weights * d_weights, 1) / within
    weights *= (weight / within)[:, None]
    landmark = tl.arange(0, R)[None] == R - 1
    return weights, tl.where(landmark, (weight * (read - delta))[:, None], weights * (d_weights - read[:, None]))


@triton.jit
def query_gradient(q, keys, values, documents, d_out, total, delta, sequence, begin, end, block, blocks, key_head, scale,
                   d_q, KEY_HEADS: tl.constexpr, R: tl.constexpr, D: tl.constexpr):
    """Adds to the gradient of a block's queries what the blocks begin .. end - 1 contribute: [J * R, D]"""
    document = tl.load(documents + block)
    for other in range(begin, end):
        k = load_rows(keys, sequence, other, blocks, key_head, KEY_HEADS, R, D, 1)
        v = load_rows(values, sequence, other, blocks, key_head, KEY_HEADS, R, D, 1)
        same = tl.load(documents + other) == document
        _, d_scores = remote_gradient(q, k, v, d_out, same, total, delta, scale, R)
        d_q = tl.dot(d_scores.to(k.dtype), k, d_q, input_precision="ieee")
    return d_q


@triton.jit(do_not_specialize=["blocks"])
def query_kernel(q_true, q_far, k_true, k_offset, values, documents, out_rows, total_sum, own_sum, d_out_rows, d_own_sum,
                 d_q_true, d_q_far, deltas, blocks, scale,
                 HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, R: tl.constexpr, D: tl.constexpr, J: tl.constexpr,
                 NEAR: tl.constexpr, REACH: tl.constexpr, SPAN: tl.constexpr):
    """A program: the rows of a block under J heads. -> gradients of their queries; `deltas` [B, H, T]"""
    block = blocks - 1 - tl.program_id(0)
    head = tl.program_id(1) * J
    sequence = tl.program_id(2)
    key_head = head // (HEADS // KEY_HEADS)
    documents += sequence * blocks
    d_out = load_rows(d_out_rows, sequence, block, blocks, head, HEADS, R, D, J)
    out = load_rows(out_rows, sequence, block, blocks, head, HEADS, R, D, J)
    delta = tl.sum(out.to(tl.float32) * d_out.to(tl.float32), 1)
    tl.store(number_pointers(deltas, sequence, block, blocks, head, HEADS, R, J), delta)
    total = tl.load(number_pointers(total_sum, sequence, block, blocks, head, HEADS, R, J))
    own = tl.load(number_pointers(own_sum, sequence, block, blocks, head, HEADS, R, J))
    d_own = tl.load(number_pointers(d_own_sum, sequence, block, blocks, head, HEADS, R, J))
    q = load_rows(q_true, sequence, block, blocks, head, HEADS, R, D, J)
    k = load_rows(k_true, sequence, block, blocks, key_head, KEY_HEADS, R, D, 1)
    v = load_rows(values, sequence, block, blocks, key_head, KEY_HEADS, R, D, 1)
    _, d_scores = own_gradient(q, k, v, d_out, d_own, total, own, delta, scale, R, J)
    d_q = tl.dot(d_scores.to(k.dtype), k, input_precision="ieee")
    first = first_seen(documents, block, REACH, SPAN)
    near = tl.maximum(first, block - NEAR + 1)
    d_q = query_gradient(q, k_true, values, documents, d_out, total, delta, sequence, near, block, block, blocks, key_head,
                         scale, d_q, KEY_HEADS, R, D)
    tl.store(row_pointers(d_q_true, sequence, block, blocks, head, HEADS, R, D, J),
             (d_q * (scale / LOG2_E)).to(d_q_true.dtype.element_ty))
    q = load_rows(q_far, sequence, block, blocks, head, HEADS, R, D, J)
    d_q = query_gradient(q, k_offset, values, documents, d_out, total, delta, sequence, first, near, block, blocks, key_head,
                         scale, tl.zeros([J * R, D], tl.float32), KEY_HEADS, R, D)
    tl.store(row_pointers(d_q_far, sequence, block, blocks, head, HEADS, R, D, J),
             (d_q * (scale / LOG2_E)).to(d_q_far.dtype.element_ty))


@triton.jit
def key_gradient(queries, k, v, documents, d_out_rows, total_sum, deltas, sequence, begin, end, block, blocks, key_head,
                 scale, d_k, d_v, HEADS: tl.constexpr, GROUP: tl.constexpr, R: tl.constexpr, D: tl.constexpr,
                 J: tl.constexpr):
    """Adds to the gradients of a block's keys and values what the rows of the blocks begin .. end - 1 contribute."""
    document = tl.load(documents + block)
    for member in range(0, GROUP, J):
        head = key_head * GROUP + member
        for other in range(begin, end):
            q = load_rows(queries, sequence, other, blocks, head, HEADS, R, D, J)
            d_out = load_rows(d_out_rows, sequence, other, blocks, head, HEADS, R, D, J)
            total = tl.load(number_pointers(total_sum, sequence, other, blocks, head, HEADS, R, J))
            delta = tl.load(number_pointers(deltas, sequence, other, blocks, head, HEADS, R, J))
            same = tl.load(documents + other) == document
            weights, d_scores = remote_gradient(q, k, v, d_out, same, total, delta, scale, R)
            d_v = tl.dot(tl.trans(weights.to(v.dtype)), d_out, d_v, input_precision="ieee")
            d_k = tl.dot(tl.trans(d_scores.to(k.dtype)), q, d_k, input_precision="ieee")
    return d_k, d_v


@triton.jit(do_not_specialize=["blocks"])
def key_kernel(q_true, q_far, k_true, k_offset, values, documents, total_sum, own_sum, d_out_rows, d_own_sum, deltas,
               d_k_true, d_k_offset, d_values, blocks, scale,
               HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, R: tl.constexpr, D: tl.constexpr, J: tl.constexpr,
               NEAR: tl.constexpr, REACH: tl.constexpr, SPAN: tl.constexpr):
    """A program: the keys and values of a block under one head. -> their gradients"""
    block = tl.program_id(0)
    key_head = tl.program_id(1)
    sequence = tl.program_id(2)
    documents += sequence * blocks
    GROUP: tl.constexpr = HEADS // KEY_HEADS
    k = load_rows(k_true, sequence, block, blocks, key_head, KEY_HEADS, R, D, 1)
    v = load_rows(values, sequence, block, blocks, key_head, KEY_HEADS, R, D, 1)
    d_k = tl.zeros([R, D], tl.float32)
    d_v = tl.zeros([R, D], tl.float32)
    for member in range(0, GROUP, J):
        head = key_head * GROUP + member
        q = load_rows(q_true, sequence, block, blocks, head, HEADS, R, D, J)
        d_out = load_rows(d_out_rows, sequence, block, blocks, head, HEADS, R, D, J)
        total = tl.load(number_pointers(total_sum, sequence, block, blocks, head, HEADS, R, J))
        own = tl.load(number_pointers(own_sum, sequence, block, blocks, head, HEADS, R, J))
        d_own = tl.load(number_pointers(d_own_sum, sequence, block, blocks, head, HEADS, R, J))
        delta = tl.load(number_pointers(deltas, sequence, block, blocks, head, HEADS, R, J))
        weights, d_scores = own_gradient(q, k, v, d_out, d_own, total, own, delta, scale, R, J)
        d_v = tl.dot(tl.trans(weights.to(v.dtype)), d_out, d_v, input_precision="ieee")
        d_k = tl.dot(tl.trans(d_scores.to(k.dtype)), q, d_k, input_precision="ieee")
    behind = last_seeing(documents, block, blocks, REACH, SPAN) + 1
    far = tl.minimum(behind, block + NEAR)
    d_k, d_v = key_gradient(q_true, k, v, documents, d_out_rows, total_sum, deltas, sequence, block + 1, far, block, blocks,
                            key_head, scale, d_k, d_v, HEADS, GROUP, R, D, J)
    tl.store(row_pointers(d_k_true, sequence, block, blocks, key_head, KEY_HEADS, R, D, 1),
             (d_k * (scale / LOG2_E)).to(d_k_true.dtype.element_ty))
    k = load_rows(k_offset, sequence, block, blocks, key_head, KEY_HEADS, R, D, 1)
    d_k, d_v = key_gradient(q_far, k, v, documents, d_out_rows, total_sum, deltas, sequence, far, behind, block, blocks,
                            key_head, scale, tl.zeros([R, D], tl.float32), d_v, HEADS, GROUP, R, D, J)
    tl.store(row_pointers(d_k_offset, sequence, block, blocks, key_head, KEY_HEADS, R, D, 1),
             (d_k * (scale / LOG2_E)).to(d_k_offset.dtype.element_ty))
    tl.store(row_pointers(d_values, sequence, block, blocks, key_head, KEY_HEADS, R, D, 1),
             d_v.to(d_values.dtype.element_ty))


# ---------------------------------------------------------------- as operations of torch


def launch_options(q, k, rows, near, reach):
    """-> constants of all kernels, {warps and stages} of the forward kernel, the same of the backward ones. Rows in
    float32 are multiplied outside of the tensor cores, and take twice the shared memory."""
    heads, key_heads, width = q.shape[2], k.shape[2], q.shape[3]
    together = 2 if heads // key_heads % 2 == 0 else 1
    constants = {"HEADS": heads, "KEY_HEADS": key_heads, "R": rows, "D": width, "J": together, "NEAR": near, "REACH": reach,
                 "SPAN": triton.next_power_of_2(reach)}
    if q.dtype == torch.float32:
        return constants, {"num_warps": 8, "num_stages": 1}, {"num_warps": 8, "num_stages": 1}
    return constants, {"num_warps": 4, "num_stages": 3}, {"num_warps": 8, "num_stages": 2}


def scale_of(q):
    return math.log2(math.e) / math.sqrt(q.shape[-1])


@torch.library.custom_op("landmark::grouped_softmax", mutates_args=())
def grouped_softmax(q_true: torch.Tensor, q_far: torch.Tensor, k_true: torch.Tensor, k_offset: torch.Tensor, v: torch.Tensor,
                    documents: torch.Tensor, rows: int, near: int, reach: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries [B, T, H, D] and keys [B, T, G, D] rotated, values [B, T, G, D]; documents [B, N].
    -> (output [B, T, H, D], logarithms of the sums of the first softmax [B, H, T], base 2, and of its own block's
    part, base e)"""
    inputs = [x.contiguous() for x in (q_true, q_far, k_true, k_offset, v, documents)]
    batch, length, heads, _ = q_true.shape
    out, total, own = grouped_softmax_like(q_true, q_far, k_true, k_offset, v, documents, rows, near, reach)
    constants, options, _ = launch_options(q_true, k_true, rows, near, reach)
    forward_kernel[(length // rows, heads // constants["J"], batch)](
        *inputs, out, total, own, length // rows, scale_of(q_true), **constants, **options)
    return out, total, own


@grouped_softmax.register_fake
def grouped_softmax_like(q_true, q_far, k_true, k_offset, v, documents, rows, near, reach):
    batch, length, heads, _ = q_true.shape
    total, own = (q_true.new_empty(batch, heads, length, dtype=torch.float32) for _ in range(2))
    return q_true.new_empty(q_true.shape), total, own


@torch.library.custom_op("landmark::grouped_softmax_backward", mutates_args=())
def grouped_softmax_backward(
        q_true: torch.Tensor, q_far: torch.Tensor, k_true: torch.Tensor, k_offset: torch.Tensor, v: torch.Tensor,
        documents: torch.Tensor, out: torch.Tensor, total: torch.Tensor, own: torch.Tensor, d_out: torch.Tensor,
        d_own: torch.Tensor, rows: int, near: int, reach: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """-> gradients of q_true, q_far, k_true, k_offset and v"""
    inputs = [x.contiguous() for x in (q_true, q_far, k_true, k_offset, v, documents)]
    d_out, d_own = d_out.contiguous(), d_own.contiguous()
    batch, length, heads, _ = q_true.shape
    gradients = grouped_softmax_backward_like(*inputs, out, total, own, d_out, d_own, rows, near, reach)
    deltas = torch.empty_like(total)
    constants, _, options = launch_options(q_true, k_true, rows, near, reach)
    query_kernel[(length // rows, heads // constants["J"], batch)](
        *inputs, out, total, own, d_out, d_own, *gradients[:2], deltas, length // rows, scale_of(q_true),
        **constants, **options)
    key_kernel[(length // rows, k_true.shape[2], batch)](
        *inputs, total, own, d_out, d_own, deltas, *gradients[2:], length // rows, scale_of(q_true), **constants, **options)
    return gradients


@grouped_softmax_backward.register_fake
def grouped_softmax_backward_like(q_true, q_far, k_true, k_offset, v, documents, out, total, own, d_out, d_own, rows, near,
                                  reach):
    return tuple(x.new_empty(x.shape) for x in (q_true, q_far, k_true, k_offset, v))


def keep_for_backward(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:6], *output)
    ctx.numbers = inputs[6:]


def backward(ctx, d_out, _, d_own):
    return *grouped_softmax_backward(*ctx.saved_tensors, d_out, d_own, *ctx.numbers), None, None, None, None


grouped_softmax.register_autograd(backward, setup_context=keep_for_backward)


def check(shape):
    """Raises ValueError if the kernels do not fit a model's shape."""
    for name, value in (("block_size + 1", shape.rows), ("head_width", shape.head_width)):
        if value < 16 or value & (value - 1):
            raise ValueError(f"the fused attention needs {name} to be a power of two of at least 16, not {value}")
    if not shape.slot or shape.near_blocks < 1 or shape.reach < 1:
        raise ValueError("the fused attention needs the position mapping slot, and at least one near block and one within reach")


def grouped_attention(q, k, v, tables, documents, shape):
    """As landmark_attention.grouped_attention, on a GPU, in bfloat16 or float32."""
    def turned(x, kind):
        return rotate(x, tuple(table[:, None] for table in tables[kind]))

    out, _, own = grouped_softmax(turned(q, "true"), turned(q, "far_query"), turned(k, "true"), turned(k, "offset"), v,
                                  documents.int(), shape.rows, shape.near_blocks, shape.reach)
    return out, own.unflatten(1, (shape.kv_heads, -1))
