"""Losses of a training step.

Letters: B contexts of N blocks, T rows; P prompts in all, of A answer tokens at most; L memory layers, H query heads.
"""
import torch
import torch.nn.functional as F

from .landmark_attention import NEVER, rotary_table, rotate
from .model import linear, rms_norm

IGNORED = -100


def next_tokens(rows, documents, shape):
    """What each row is to predict: rows [B, T], documents [B, N] -> [B, T]. The row before a landmark predicts the
    token after it; landmarks, padding and the ends of documents predict nothing."""
    after = F.pad(rows[:, 1:], (0, 1), value=shape.padding)
    second = F.pad(rows[:, 2:], (0, 2), value=shape.padding)
    offset = torch.arange(rows.shape[1], device=rows.device) % shape.rows
    target = torch.where(offset == shape.block_size - 1, second, after)
    number = documents.repeat_interleave(shape.rows, 1)
    crosses = F.pad(number[:, 2:], (0, 2), value=-1) != number
    nothing = (offset == shape.block_size) | (target == shape.padding) | (rows == shape.padding)
    return torch.where(nothing | (crosses & (offset == shape.block_size - 1)), IGNORED, target)


def token_loss(h, norm, output, target, epsilon):
    """Sum of the cross-entropy of a stream [n, C] before the last norm, for target [n]."""
    logits = linear(rms_norm(h, norm, epsilon), output).float()
    return F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="sum")


def log_mean(values, weight):
    """Mean of `values` where `weight` is 1; 0 if nowhere."""
    return (values * weight).sum() / weight.sum().clamp(min=1)


def find_losses(scores, gold, near, teacher):
    """Retrieval losses of P prompts.

    scores [P, B, N]: joint scores of all blocks of the step; gold [P, B, N]; near [P]: only the prompt's own context is
    searched (gold tells which); teacher [P, M]: the teacher's scores of the first M blocks, divided by its temperature, or None.
    Prompts without gold do not count. -> dict of contrast, distillation and accuracy"""
    asked = gold.flatten(1).any(1)
    own = gold.any(2, keepdim=True)                                               # [P, B, 1]
    everything = scores.masked_fill(near[:, None, None] & ~own, NEVER).flatten(1)
    found = everything.masked_fill(~gold.flatten(1), NEVER).logsumexp(1)
    out = {"contrast": log_mean(everything.logsumexp(1) - found, asked.float())}
    best = everything.argmax(1, keepdim=True)
    out["accuracy"] = log_mean(gold.flatten(1).gather(1, best)[:, 0].float(), (asked & ~near).float())
    if teacher is not None:
        student, aim = scores.flatten(1)[:, :teacher.shape[1]].log_softmax(1), teacher.log_softmax(1)
        divergence = (aim.exp() * (aim - student)).sum(1)
        taught = asked & ~near & gold.flatten(1)[:, :teacher.shape[1]].any(1)
        out["distillation"] = log_mean(divergence, taught.float())
    return out


def attention_scores(queries, keys, tokens):
    """Exact attention as a score of blocks: the mean over a prompt's tokens of the log-sum-exp over a block's tokens, for each
    query head of one memory layer. queries [B, P, T, H, D] rotated to the far slot and scaled; keys [B, M, R, G, D] rotated to
    their offsets; tokens [B, P, T]: which rows are the prompt's. -> [B, P, M, H]"""
    batch, prompts, length, heads, width = queries.shape
    kv_heads = keys.shape[3]
    q = queries.unflatten(3, (kv_heads, -1)).permute(0, 3, 4, 1, 2, 5)                          # [B, G, H/G, P, T, D]
    k = keys.permute(0, 3, 1, 2, 4)                                                             # [B, G, M, R, D]
    scores = q.flatten(2, 4) @ k.flatten(2, 3).transpose(-1, -2)
    inside = scores.unflatten(-1, k.shape[2:4])[..., :-1].float().logsumexp(-1)                 # [B, G, H/G * P * T, M]
    inside = inside.unflatten(2, (heads // kv_heads, prompts, length))
    weight = (tokens / tokens.sum(-1, keepdim=True))[:, None, None, :, :, None]
    return (inside * weight).sum(4).permute(0, 3, 4, 1, 2).flatten(3)


def attend_losses(scores, landmarks, gold, visible, teacher):
    """scores, landmarks, gold, visible [P, M]: scores of M blocks by exact attention and by their landmarks, which of the blocks
    count as found, and which may be chosen; teacher [P', M] of the first P' prompts, divided by its temperature, or None.
    Exact attention, which sees every token, teaches the landmarks (imitation); that loss has no gradient for its scores.
    -> dict"""
    asked = (gold & visible).any(1)
    scores = scores.masked_fill(~visible, NEVER)
    student = scores.log_softmax(1)
    out = {"attend": log_mean(-student.masked_fill(~gold, NEVER).logsumexp(1), asked.float()),
           "attend_accuracy": log_mean(gold.gather(1, scores.argmax(1, keepdim=True))[:, 0].float(), asked.float())}
    seen, aim = landmarks.masked_fill(~visible, NEVER).log_softmax(1), student.detach()
    out["imitation"] = log_mean((aim.exp() * (aim - seen)).sum(1), asked.float())
    if teacher is not None:
        aim = teacher.masked_fill(~visible[:len(teacher)], NEVER).log_softmax(1)
        divergence = (aim.exp() * (aim - student[:len(teacher)])).sum(1)
        out["attend_distillation"] = log_mean(divergence, asked[:len(teacher)].float())
    return out


def far_queries(queries, offsets, shape):
    """Queries as they stand in the far slot, scaled. queries [..., H, D] before rotation; offsets, of their rows in their block,
    broadcast against [..., H] -> [..., G, H / G, D] in float32"""
    table = rotary_table(torch.arange(shape.rows, device=queries.device) + shape.far, shape.head_width, shape.rotary_base)
    cos, sin = (t[offsets] for t in table)
    return (rotate(queries.float(), (cos, sin)) / shape.head_width ** 0.5).unflatten(-2, (shape.kv_heads, -1))


def landmark_scores(queries, keys, offsets, shape):
    """Scores of far landmarks at some rows. queries [P, A, L, H, D] before rotation, at `offsets` [P, A] in their
    block; keys [P, N, L, G, D] rotated -> [P, A, L, H, N]"""
    far = far_queries(queries, offsets[:, :, None, None], shape)
    return torch.einsum("palghd,pnlgd->palghn", far, keys).flatten(3, 4)


def gate_losses(scores, own, gold, visible, counted, temperature):
    """Landmark scores at answer positions against the blocks of the same context and the row's own tokens.

    scores [P, A, L, H, N]; own [P, A, L, H]: log-sum-exp of the own block's scores; gold, visible [P, A, N];
    counted [P, A]. -> (loss on the sum over layers and heads, mean gate on gold [L, H], uniform gate)"""
    counted = counted & (gold & visible).any(2)
    weight = counted.float()
    joint = (scores.sum((2, 3)) / temperature).masked_fill(~visible, NEVER)
    rest = own.sum((2, 3)) / temperature
    total = torch.cat((joint, rest[..., None]), -1).logsumexp(-1)
    loss = log_mean(total - joint.masked_fill(~gold, NEVER).logsumexp(-1), weight)
    with torch.no_grad():
        seen = scores.masked_fill(~visible[:, :, None, None], NEVER)
        gate = torch.cat((seen, own[..., None]), -1).softmax(-1)[..., :-1]
        on_gold = (gate * gold[:, :, None, None]).sum(-1)
        mean = (on_gold * weight[..., None, None]).sum((0, 1)) / weight.sum().clamp(min=1)
        uniform = log_mean((gold & visible).sum(-1) / visible.sum(-1).clamp(min=1), weight)
    return loss, mean, uniform


def point_losses(queries, keys, at, points, visible, counted, shape, temperature):
    """Attention of answer positions as a pointer into the context, by the sum over the query heads of one memory layer.

    queries [B, P, A, H, D] before rotation, of the rows `at` [B, P, A] of their block; keys [B, N, R, G, D] rotated to their
    offsets; points [B, P, A, O]: rows of the context where the token that is to be predicted stands, negative for none;
    visible [B, P, N]; counted [B, P, A]. -> (loss, whether the best row is a right one [B, P, A], which positions count)"""
    batch, blocks, rows = keys.shape[:3]
    far = far_queries(queries, (at % shape.rows)[..., None], shape).sum(4)                  # [B, P, A, G, D]
    scores = far.to(keys.dtype).flatten(1, 2).flatten(2) @ keys.flatten(3).flatten(1, 2).transpose(1, 2)
    scores = scores.float().unflatten(1, at.shape[1:]).unflatten(3, (blocks, rows)) / temperature
    seen = visible[:, :, None, :, None] & (torch.arange(rows, device=keys.device) < rows - 1)
    scores = scores.masked_fill(~seen, NEVER).flatten(3)                                    # [B, P, A, N * R]
    right = torch.zeros(*at.shape, blocks * rows + 1, dtype=torch.bool, device=keys.device)
    nowhere = (points < 0) | ~counted[..., None]
    right.scatter_(3, torch.where(nowhere, blocks * rows, points), True)
    right = right[..., :-1] & seen.expand(-1, -1, at.shape[2], -1, -1).flatten(3)
    counted = counted & right.any(3)
    found = scores.masked_fill(~right, NEVER).logsumexp(3)
    loss = log_mean(scores.logsumexp(3) - found, counted.float())
    best = right.gather(3, scores.argmax(3, keepdim=True))[..., 0]
    return loss, best & counted, counted
