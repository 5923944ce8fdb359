"""Trains a landmark model until a point in time.

    python3 -m train.train --config FILE --data FOLDER --tokenizer MODEL --questions FILE --out FOLDER
                           [--pieces tokenizer.json --teacher MODEL.onnx] [--synonyms FILE] [--resume CHECKPOINT]
                           [--seconds 1200 | --end FILE] [--without LOSS ...] [--workers 12] [--profile FILE]

With several GPUs: torchrun --nproc_per_node COUNT -m train.train ... (train/parallel.py); --workers counts for each.

--end names a file with the moment (seconds since 1970) at which training is to stop; it may change while training runs.
Writes log.jsonl, stable.pt (weights before the learning rate falls: what the next run resumes) and final.pt.

A step's loss is a weighted sum (config.Settings): next tokens of running text; retrieval of blocks by prompts alone
(pass 1; contrast and distillation); answers read from the context's blocks as far memory (pass 2), the landmark scores at
those answers and where the top memory layer's attention points, landmark scores at copies inside the contexts, and answers
to questions that stand beside their text (reread.py). --without leaves losses out of that sum and computes them all the
same, so that runs with and without them see the same contexts at the same speed (configs/ablation.json).
"""
import argparse
import dataclasses
import functools
import json
import os
import pathlib
import time

import torch
import torch.nn.functional as F

from . import checkpoint, losses
from .config import load_config
from .data import KINDS, StepShape
from .feed import Feed
from .model import LandmarkModel, count_parameters, with_landmarks
from .muon import Muon
from .parallel import Group
from .teacher import Teacher, to_device


# What a step's loss is the weighted sum of: fields of config.Settings (`gate` weighs the gates inside contexts too).
LOSSES = ("language", "contrast", "distillation", "drift", "size", "attend", "attend_distillation", "imitation", "answer",
          "gate", "point", "stream", "reread")


class TeacherTable:
    """The teacher's embeddings of natural blocks, computed when a context is first seen."""

    def __init__(self, teacher, step, capacity, device):
        self.teacher, self.step = teacher, step
        self.table = torch.zeros(capacity, step.blocks, teacher.width, dtype=torch.float16, device=device)

    def __call__(self, numbers, fresh, batch):
        """-> (targets of the natural and question blocks [B', N, E], questions [P, E])"""
        step = self.step
        embedded = self.teacher.embed(batch["block_pieces"]).half().unflatten(0, (-1, step.blocks))
        new = [number for number, first in zip(numbers, fresh) if first]
        if new:
            self.table[to_device(torch.tensor(new), self.table.device)] = embedded[:len(new)]
        blocks = torch.cat((self.table[to_device(torch.tensor(numbers), self.table.device)], embedded[len(new):])).float()
        around = F.pad(blocks, (0, 0, 1, 1))
        around = F.normalize(around[:, :-2] + blocks + around[:, 2:], dim=-1)
        return (blocks + around) / 2, self.teacher.embed(batch["query_pieces"])


class Trainer:
    def __init__(self, shape, step, settings, group, compile_layers, fused=False):
        self.shape, self.step, self.settings, self.group, self.device = shape, step, settings, group, group.device
        device = group.device
        self.dtype = torch.bfloat16 if device == "cuda" else torch.float32
        self.model = LandmarkModel(shape, compile_layers, fused).to(device)
        compiled = functools.partial(torch.compile, dynamic=False) if compile_layers else lambda function: function
        self.token_loss, self.attention_scores = compiled(losses.token_loss), compiled(losses.attention_scores)
        matrices = [p for p in self.model.layers.parameters() if p.dim() == 2]
        others = [p for name, p in self.model.named_parameters() if p.dim() == 1 or not name.startswith("layers.")]
        self.optimisers = [Muon(matrices, settings.muon_rate),
                           torch.optim.AdamW(others, settings.adam_rate, betas=(0.9, 0.95), weight_decay=0.0)]
        self.rates = [group["lr"] for optimiser in self.optimisers for group in optimiser.param_groups]
        # Contexts that the language is learnt from: passages with questions come again too often for that.
        order = torch.arange(step.contexts, device=device)
        self.running = torch.cat((order[:step.natural], order[step.natural + step.questions:]))
        self.dropout = {"contexts": None, "prompts": None, "reread": None}  # shares, of each context and each prompt
        if settings.dropout:
            self.dropout = {"contexts": torch.full((step.contexts,), settings.dropout, device=device),
                            "prompts": torch.full((step.contexts * step.prompts,), settings.dropout, device=device),
                            "reread": torch.full((step.reread,), settings.dropout, device=device)}
            self.dropout["contexts"][self.running] = 0
        self.skipped = torch.zeros((), dtype=torch.int64, device=device)

    # ------------------------------------------------------------ a step's tensors

    def upload(self, batch):
        out = {}
        for name, value in batch.items():
            if value is None or name.endswith("pieces"):
                continue
            value = value.astype("int64") if value.dtype.kind in "ui" else value
            out[name] = to_device(torch.from_numpy(value), self.device)
        out["rows"] = with_landmarks(out["tokens"], self.shape.landmark)
        if self.step.reread:
            out["reread_rows"] = with_landmarks(out["reread_tokens"], self.shape.landmark)
        out["filled"] = (out["tokens"] != self.shape.padding).any(2)
        return out

    def loss(self, batch, aims, questions):
        """batch: of upload; aims [B', N, E], questions [P, E] of the teacher or None. -> (loss, {name: value})"""
        h, memory = self.model.run_documents(batch["rows"], batch["documents"], self.dtype, onward=self.running,
                                             drop=self.drop("contexts"))
        keys = self.model.landmark_keys(memory)                                           # [B, N, L, G, D]
        rotated = {layer: self.model.offset_keys(memory[layer]["k"]) for layer in self.shape.memory_layers}
        parts = {"language": self.language_loss(h, batch["rows"][self.running], batch["documents"][self.running])}
        parts.update(self.find_loss(keys, rotated, batch, aims, questions))
        parts.update(self.read_loss(memory, keys, rotated[max(rotated)], batch))
        if self.step.synthetic:
            parts.update(self.stream_loss(h, memory, keys, batch))
        if self.step.reread:
            parts.update(self.reread_loss(batch))
        settings = self.settings
        total = sum(getattr(settings, name) * parts[name] for name in LOSSES if name in parts)
        if "stream_gate" in parts:
            total = total + settings.gate * parts["stream_gate"]
        return total, parts

    def drop(self, kind):
        return self.dropout[kind] if self.model.training else None

    def language_loss(self, h, rows, documents):
        """h [B, T, C] of contexts rows [B, T], documents [B, N]."""
        target = losses.next_tokens(rows, documents, self.shape)
        parts = -(-len(h) // 16)                           # as large as fit the memory, and of one size, which is compiled once
        total, chunk = 0, -(-len(h) // parts) * h.shape[1]
        for part, aim in zip(h.flatten(0, 1).split(chunk), target.flatten().split(chunk)):
            total = total + self.token_loss(part, self.model.output_norm, self.model.output_matrix(), aim, self.shape.epsilon)
        return total / (target != losses.IGNORED).sum().clamp(min=1)

    def find_loss(self, keys, rotated, batch, aims, questions):
        step = self.step
        row = torch.arange(step.prompt_rows, device=self.device)
        tokens = row < batch["prompt_length"][:, None]
        queries = self.model.run_prompts(batch["prompts"], dtype=self.dtype, drop=self.drop("prompts"))
        pooled = self.model.pooled_query(queries, tokens).flatten(1, 2)                   # [P, L * G, D]
        joint = keys.flatten(2, 3)                                                        # [B, N, L * G, D]
        by_part = torch.einsum("pkd,bnkd->pbnk", pooled, joint)
        scores = by_part.sum(3)
        context = torch.arange(len(pooled), device=self.device) // step.prompts
        gold = F.one_hot(context, len(joint))[:, :, None].bool() & batch["find"][:, None]
        taught = step.natural + step.questions
        filled = batch["filled"]
        teacher = None
        if aims is not None:
            teacher = (questions @ aims.flatten(0, 1).t()).masked_fill(~filled[:taught].flatten(), losses.NEVER)
            teacher = teacher / self.settings.temperature
        out = losses.find_losses(scores.masked_fill(~filled, losses.NEVER), gold, batch["near"], teacher)
        out["drift"] = scores.mean((1, 2)).square().mean()
        out["size"] = by_part.square().mean()
        out.update(self.attend_loss(queries, tokens, rotated, batch, scores, teacher))
        return out

    def attend_loss(self, queries, tokens, keys, batch, landmarks, teacher):
        """Re-ranking by exact attention: each prompt against the blocks of its own context and of the next one.
        keys {memory layer: [B, N, R, G, D]}, rotated; landmarks [P, B, N]: joint scores; teacher [P, B' * N ...] as in
        find_losses."""
        step, shape = self.step, self.shape
        taught, contexts = step.natural + step.questions, len(batch["filled"])
        context = torch.arange(contexts, device=self.device)
        both = torch.stack((context, (context + 1) % taught), 1)                          # [B, 2]
        far = self.model.far_queries(queries).to(self.dtype).unflatten(0, (contexts, -1))  # [B, P, T, L, H, D]
        scores = 0
        for index, layer in enumerate(shape.memory_layers):
            scores = scores + self.attention_scores(far[:, :, :, index], keys[layer][both].flatten(1, 2),
                                                    tokens.unflatten(0, (contexts, -1))).sum(3)
        find = batch["find"].unflatten(0, (contexts, -1))
        gold = torch.cat((find, torch.zeros_like(find)), 2).flatten(0, 1)
        visible = batch["filled"][both].flatten(1).repeat_interleave(step.prompts, 0)
        visible[:, step.blocks:] &= ~batch["near"][:, None]
        if teacher is not None:
            at = both[:taught, :, None] * step.blocks + torch.arange(step.blocks, device=self.device)
            teacher = teacher[:taught * step.prompts].gather(1, at.flatten(1).repeat_interleave(step.prompts, 0))
        landmarks = landmarks.gather(1, both.repeat_interleave(step.prompts, 0)[:, :, None].expand(-1, -1, step.blocks))
        return losses.attend_losses(scores.flatten(0, 1), landmarks.flatten(1), gold, visible, teacher)

    def read_loss(self, memory, keys, top_keys, batch):
        """Answers in pass 2, and the landmark scores where their tokens are predicted.
        top_keys [B, N, R, G, D]: the top memory layer's, rotated."""
        step = self.step
        visible = batch["visible"].unflatten(0, (-1, step.prompts))
        h, read = self.model.run_prompts(batch["prompts"], memory, visible, self.dtype, self.drop("prompts"))
        index = torch.arange(step.answer, device=self.device)
        at = (batch["prompt_length"][:, None] - 1 + index).clamp(max=step.prompt_rows - 2)          # [P, A]
        asked = index < batch["answer_length"][:, None]
        target = torch.where(asked, batch["prompts"].gather(1, at + 1), losses.IGNORED)
        states = h.gather(1, at[:, :, None].expand(-1, -1, h.shape[2]))
        logits = self.model.logits(states).float()
        answer = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=losses.IGNORED)
        right = (logits.detach().argmax(-1) == target) & asked
        copied = asked & ~(batch["closed"][:, None] & (index == batch["answer_length"][:, None] - 1))
        gate, mean, uniform = losses.gate_losses(
            *self.gate_inputs(read, keys.repeat_interleave(step.prompts, 0), at), batch["read"][:, None],
            batch["visible"][:, None].expand(-1, step.answer, -1), copied & batch["read"].any(1)[:, None],
            self.settings.gate_temperature)
        return {"answer": answer, "gate": gate, "gate_by_head": mean, "gate_uniform": uniform,
                "by_kind": (right, asked, batch["kind"]), **self.point_loss(read, top_keys, at, index, copied, visible, batch)}

    def point_loss(self, read, keys, at, index, copied, visible, batch):
        """keys as top_keys of read_loss; at [P, A]: rows of the prompts that predict answer token `index` [A]; copied [P, A]:
        those that the context has."""
        top, shape = max(self.shape.memory_layers), self.shape
        queries = read[top]["q"].gather(1, at[:, :, None, None].expand(-1, -1, shape.heads, shape.head_width))
        token = batch["points"][:, None] + index[:, None]                                           # [P, A, O]
        rows = torch.where(batch["points"][:, None] < 0, -1, token + token // shape.block_size)
        queries, at, rows, copied = (x.unflatten(0, (-1, self.step.prompts)) for x in (queries, at, rows, copied))
        loss, right, counted = losses.point_losses(queries, keys, at, rows, visible, copied, shape,
                                                   self.settings.point_temperature)
        return {"point": loss, "point_by_kind": (right.flatten(0, 1), counted.flatten(0, 1), batch["kind"])}

    def gate_inputs(self, states, keys, at):
        """states {layer: q [P, T, H, D], own [P, G, H/G, T]}; at [P, A] -> (scores [P, A, L, H, N], own [P, A, L, H])"""
        queries, own = [], []
        for layer in self.shape.memory_layers:
            q, o = states[layer]["q"], states[layer]["own"]
            queries.append(q.gather(1, at[:, :, None, None].expand(-1, -1, *q.shape[2:])))
            o = o.flatten(1, 2).transpose(1, 2)                                           # [P, T, H]
            own.append(o.gather(1, at[:, :, None].expand(-1, -1, o.shape[2])))
        scores = losses.landmark_scores(torch.stack(queries, 2), keys, at % self.shape.rows, self.shape)
        return scores, torch.stack(own, 2)

    def stream_loss(self, h, memory, keys, batch):
        """Copies inside the synthetic contexts: their tokens, and the landmark scores where they are predicted."""
        first, shape = self.step.natural + self.step.questions, self.shape
        counted = batch["stream_at"] >= 0
        at = batch["stream_at"].clamp(min=0)
        loss, recall = self.predict(h[-self.step.synthetic:], batch["rows"][first:], batch["stream_at"])
        block = torch.arange(self.step.blocks, device=self.device)
        back = (at // shape.rows)[:, :, None] - block
        part = {layer: {name: states_[name][first:] for name in ("q", "own")} for layer, states_ in memory.items()}
        gate, mean, uniform = losses.gate_losses(
            *self.gate_inputs(part, keys[first:], at), block == batch["stream_gold"][:, :, None],
            (back >= shape.near_blocks) & (back <= shape.reach), counted, self.settings.gate_temperature)
        return {"stream": loss, "stream_gate": gate, "stream_recall": recall, "stream_gate_by_head": mean,
                "stream_uniform": uniform}

    def reread_loss(self, batch):
        """Answers at the end of documents that read a text again (reread.py)."""
        h, _ = self.model.run_documents(batch["reread_rows"], batch["reread_documents"], self.dtype, drop=self.drop("reread"))
        loss, recall = self.predict(h, batch["reread_rows"], batch["reread_at"])
        return {"reread": loss, "reread_recall": recall}

    def predict(self, h, rows, at):
        """The tokens behind rows `at` [B, S], -1 where unused, of contexts rows [B, T] with their stream h. -> (loss, recall)"""
        shape, counted, at = self.shape, at >= 0, at.clamp(min=0)
        after = at + torch.where(at % shape.rows == shape.block_size - 1, 2, 1)
        target = torch.where(counted, rows.gather(1, after.clamp(max=rows.shape[1] - 1)), losses.IGNORED)
        logits = self.model.logits(h.gather(1, at[:, :, None].expand(-1, -1, h.shape[2]))).float()
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=losses.IGNORED)
        return loss, losses.log_mean((logits.detach().argmax(-1) == target).float(), counted.float())

    # ------------------------------------------------------------ the update

    def update(self, total, factor):
        """Backward and one step at `factor` of the learning rates. Gradients with anything not finite count as zero,
        which is decided on the GPU, so that its queue never runs empty."""
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = self.group.average_gradients(self.model.parameters())
        self.skipped = self.skipped + ~torch.isfinite(norm)
        shrink = (self.settings.clip / norm.nan_to_num(1.0).clamp(min=1e-6)).clamp(max=1.0)
        torch._foreach_mul_([p.grad for p in self.model.parameters() if p.grad is not None], shrink)
        torch.nn.utils.clip_grad_norm_([p for g in self.optimisers[1].param_groups for p in g["params"]], 1.0)
        rates = iter(self.rates)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = next(rates) * factor
            optimiser.step()
        return norm


def by_kind(right, asked, kind):
    """-> {kind: (share of answer tokens right, share of whole answers right, answers)}"""
    out = {}
    whole, has = (right | ~asked).all(1), asked.any(1)
    for index, name in enumerate(KINDS):
        chosen = (kind == index) & has
        if chosen.any():
            tokens = asked[chosen].sum()
            out[name] = [round((right[chosen].sum() / tokens).item(), 4), round(whole[chosen].float().mean().item(), 4),
                         int(chosen.sum())]
    return out


def log_entry(parts):
    entry = {name: by_kind(*parts.pop(name)) for name in ("by_kind", "point_by_kind")}
    for name, value in parts.items():
        value = value.detach().float()
        entry[name] = round(value.item(), 5) if value.dim() == 0 else [[round(x, 4) for x in row] for row in value.tolist()]
    return entry


class Clock:
    """Where in its time a run is. The end can move."""

    def __init__(self, seconds, end_file, decay_share, warm_up):
        self.start, self.seconds, self.end_file = time.time(), seconds, end_file
        self.decay_share, self.warm_up = decay_share, warm_up
        self.refresh()

    def refresh(self):
        self.end = self.start + self.seconds
        if self.end_file and os.path.exists(self.end_file):
            text = pathlib.Path(self.end_file).read_text().strip()
            self.end = float(text) if text else self.end

    def decay_from(self):
        return self.end - self.decay_share * (self.end - self.start)

    def factor(self, number):
        """Share of the learning rate at a step."""
        now = time.time()
        falling = (self.end - now) / max(1e-9, self.end - self.decay_from())
        return min(1.0, (number + 1) / self.warm_up, max(0.0, falling))


def run(options):
    shape, step, settings = load_config(options.config)
    settings = dataclasses.replace(settings, **dict.fromkeys(options.without, 0.0))
    step, group = StepShape(**step), Group()
    os.makedirs(options.out, exist_ok=True)
    clock = Clock(options.seconds, options.end, settings.decay_share, settings.warm_up)
    log = open(f"{options.out}/log.jsonl" if group.rank == 0 else os.devnull, "a", buffering=1)

    def write(**entry):
        print(json.dumps({"time": round(time.time() - clock.start, 1), **entry}), file=log)

    arguments = (options.tokenizer, options.pieces, options.questions, options.synonyms)
    feed = Feed(options.data, arguments, step, options.workers, options.seed, group)
    torch.manual_seed(options.seed)
    if options.fused and group.device != "cuda":
        raise SystemExit("--fused: the kernels run on a GPU, and there is none")
    trainer = Trainer(shape, step, settings, group, group.device == "cuda" and not options.eager, options.fused)
    if options.resume:
        checkpoint.load(options.resume, trainer.model)
    group.same_weights(trainer.model.parameters())
    teach = None
    if options.teacher:
        teacher = Teacher(options.teacher, group.device, torch.float16 if group.device == "cuda" else torch.float32)
        teach = TeacherTable(teacher, step, options.capacity, group.device)
    write(event="start", parameters=count_parameters(trainer.model), processes=group.size, step=dataclasses.asdict(step),
          settings=dataclasses.asdict(settings), end=clock.end)
    train(trainer, feed, teach, clock, options, write)
    if group.rank == 0:
        checkpoint.save(f"{options.out}/final.pt", trainer.model)
    write(event="end", skipped=trainer.skipped.item())
    if options.profile:
        profile(trainer, feed, teach, options.profile)
    log.close()
    feed.close()
    group.close()


def take_step(trainer, feed, teach, factor):
    """-> (norm of the gradient, loss, its parts)"""
    numbers, fresh, batch = feed.next()
    aims = questions = None
    if teach:
        aims, questions = teach(numbers, fresh, batch)
    total, parts = trainer.loss(trainer.upload(batch), aims, questions)
    return trainer.update(total, factor), total, parts


def train(trainer, feed, teach, clock, options, write):
    number, stable, last, last_number = 0, False, time.time(), 0
    rows = (trainer.step.contexts + trainer.step.reread) * trainer.step.blocks * trainer.shape.rows * trainer.group.size
    while number < options.steps:
        now = time.time()
        over, decays, factor = trainer.group.first_decides(
            [float(now >= clock.end), float(now > clock.decay_from()), clock.factor(number)])
        if over:
            break
        if decays and not stable:
            if trainer.group.rank == 0:
                checkpoint.save(f"{options.out}/stable.pt", trainer.model)
            write(event="stable", number=number)
            stable = True
        norm, total, parts = take_step(trainer, feed, teach, factor)
        number += 1
        if number % trainer.settings.log_every == 0 or number <= 3:
            loss = round(total.item(), 4)  # waits for the GPU
            now = time.time()
            write(number=number, loss=loss, norm=round(norm.item(), 3), rate=factor,
                  rows_per_second=round(rows * (number - last_number) / (now - last)), skipped=trainer.skipped.item(),
                  contexts_known=len(feed.known),
                  memory=torch.cuda.max_memory_allocated() >> 20 if trainer.device == "cuda" else 0, **log_entry(parts))
            last, last_number = now, number
            clock.refresh()
            feed.contexts.look_for_parts()


def profile(trainer, feed, teach, path):
    """Times the operations of three more steps, without changing the weights -> a table at `path`."""
    activities = [torch.profiler.ProfilerActivity.CPU] + ([torch.profiler.ProfilerActivity.CUDA] if trainer.device == "cuda" else [])
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(3):
            take_step(trainer, feed, teach, 0.0)
    order = "self_cuda_time_total" if trainer.device == "cuda" else "self_cpu_time_total"
    if trainer.group.rank == 0:
        with open(path, "w", encoding="utf-8") as out:
            out.write(profiler.key_averages().table(sort_by=order, row_limit=60, max_name_column_width=90))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--data", required=True, help="folder of packed parts")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--questions", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--pieces", default="", help="the teacher's tokenizer.json")
    parser.add_argument("--teacher", default="", help="the teacher's ONNX file")
    parser.add_argument("--synonyms", default="", help="file of synonyms.py")
    parser.add_argument("--resume", default="")
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--end", default="")
    parser.add_argument("--steps", type=int, default=10 ** 9)
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--capacity", type=int, default=80000, help="natural contexts the teacher's table has room for")
    parser.add_argument("--without", nargs="+", choices=LOSSES, default=[], metavar="LOSS",
                        help="losses whose weight is to be 0: " + ", ".join(LOSSES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="", help="at the end, write here what three steps spend their time on")
    parser.add_argument("--eager", action="store_true", help="do not compile")
    parser.add_argument("--fused", action="store_true", help="memory layers through the kernels of fused_attention.py (GPU)")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
