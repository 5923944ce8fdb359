"""The landmark model: a Llama-style decoder with local and memory layers.

Letters as in landmark_attention.py; C is the width. Weights are kept under their GGUF names. Four ways
through it:

    forward           one sequence at a time through the naive attention: for tests and for any shape
    run_documents     contexts of N whole blocks, in blocks: what training and indexing need
    run_long          documents of any length, piece by piece, as the engine indexes them
    run_prompts       prompts of T < R rows, alone (pass 1) or with a context's blocks as far memory (pass 2)
"""
import dataclasses
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from . import landmark_attention as attention

MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
NORMS = ("attn_norm", "ffn_norm")


def layer_shapes(shape):
    """{name: size} of a layer's weights."""
    inner, kv, full = shape.inner, shape.kv_heads * shape.head_width, shape.heads * shape.head_width
    return {"attn_norm": (shape.width,), "attn_q": (full, shape.width), "attn_k": (kv, shape.width),
            "attn_v": (kv, shape.width), "attn_output": (shape.width, full), "ffn_norm": (shape.width,),
            "ffn_gate": (inner, shape.width), "ffn_up": (inner, shape.width), "ffn_down": (shape.width, inner)}


def rms_norm(x, weight, epsilon):
    wide = x.float()
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return (wide * weight.float()).to(x.dtype)


def linear(x, weight):
    return x @ weight.to(x.dtype).t()


class Layer(nn.Module):
    """Weights of one layer, and the parts of it that do not depend on the kind of attention."""

    def __init__(self, shape):
        super().__init__()
        for name, size in layer_shapes(shape).items():
            value = torch.ones(size) if len(size) == 1 else torch.randn(size) / math.sqrt(size[-1])
            if name in ("attn_output", "ffn_down"):
                value = value / math.sqrt(2 * shape.layers)
            setattr(self, name, nn.Parameter(value))

    def weights(self):
        return {name: getattr(self, name) for name in MATRICES + NORMS}


def project(h, weights, shape):
    """[B, T, C] -> queries [B, T, H, D], keys and values [B, T, G, D]"""
    x = rms_norm(h, weights["attn_norm"], shape.epsilon)
    return tuple(linear(x, weights[name]).unflatten(-1, (-1, shape.head_width))
                 for name in ("attn_q", "attn_k", "attn_v"))


def dropped(x, share):
    """Dropout of x [B, T, C], with a share of its own for each of the B, [B]; None: nothing is left out."""
    if share is None:
        return x
    share = share[:, None, None]
    return torch.where(torch.rand(x.shape, device=x.device) < share, 0, x / (1 - share).to(x.dtype))


def finish(h, out, weights, shape, drop=None):
    """Adds the attention's output [B, T, H, D] and the feed-forward network to the stream [B, T, C]; drop as in dropped."""
    h = h + dropped(linear(out.flatten(-2), weights["attn_output"]), drop)
    x = rms_norm(h, weights["ffn_norm"], shape.epsilon)
    x = F.silu(linear(x, weights["ffn_gate"])) * linear(x, weights["ffn_up"])
    return h + dropped(linear(x, weights["ffn_down"]), drop)


class LandmarkModel(nn.Module):
    def __init__(self, shape, compile_layers=False, fused=False):
        """fused: memory layers of documents through the kernels of fused_attention.py, on a GPU."""
        super().__init__()
        self.shape, self.read_documents = shape, attention.grouped_attention
        if fused:
            from . import fused_attention  # needs Triton
            fused_attention.check(shape)
            self.read_documents = fused_attention.grouped_attention
        self.embedding = nn.Parameter(torch.randn(shape.vocabulary, shape.width) * 0.02)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.output_norm = nn.Parameter(torch.ones(shape.width))
        self.output = None if shape.tied else nn.Parameter(torch.randn(shape.vocabulary, shape.width) * 0.02)
        self.tables = {}
        self.use_compiler(compile_layers)

    # ------------------------------------------------------------ the four kinds of layer

    def use_compiler(self, yes):
        """Sets the layer functions; compiled ones expect the same sizes in every call."""
        shape, read_documents = self.shape, self.read_documents

        def local_documents(h, weights, table, bias, drop):
            q, k, v = project(h, weights, shape)
            return finish(h, attention.window_attention(q, k, v, table, bias, shape), weights, shape, drop)

        def memory_documents(h, weights, tables, documents, drop):
            q, k, v = project(h, weights, shape)
            out, own = read_documents(q, k, v, tables, documents, shape)
            return finish(h, out, weights, shape, drop), q, k, v, own

        def local_prompts(h, weights, table, drop):
            q, k, v = project(h, weights, shape)
            return finish(h, attention.causal_attention(q, k, v, table, shape), weights, shape, drop)

        def memory_prompts(h, weights, tables, keys, values, visible, drop):
            q, k, v = project(h, weights, shape)
            out, own = attention.prompt_attention(q, k, v, tables, (keys, values), visible, shape)
            return finish(h, out, weights, shape, drop), q, own

        functions = {f.__name__: f for f in (local_documents, memory_documents, local_prompts, memory_prompts)}
        if yes:
            functions = {name: torch.compile(f, dynamic=False) for name, f in functions.items()}
        self.functions = functions

    def table(self, kind, length, device):
        """Rotation table of `length` rows; kinds: true, offset, far_query."""
        key = (kind, length, str(device))
        if key not in self.tables:
            position = torch.arange(length, device=device)
            if kind != "true":
                position = position % self.shape.rows + (self.shape.far if kind == "far_query" else 0)
            self.tables[key] = attention.rotary_table(position, self.shape.head_width, self.shape.rotary_base)
        return self.tables[key]

    # ------------------------------------------------------------ training and indexing

    def run_documents(self, rows, documents, dtype, top=None, onward=None, drop=None):
        """rows [B, T] with landmarks in place; documents [B, N]. -> (stream [B, T, C] before the last norm, {memory
        layer: dict of q, k, v before rotation and own}). With `top`, only the layers up to and including it. onward: numbers
        of the contexts that go on behind the top memory layer, in order; the stream is theirs alone. None: all. drop [B]:
        dropout's share of what a layer adds to a context's stream, in training."""
        length, device = rows.shape[1], rows.device
        tables = {kind: self.table(kind, length, device) for kind in ("true", "offset", "far_query")}
        bias = attention.window_bias(documents, self.shape, dtype)
        h, memory = F.embedding(rows, self.embedding).to(dtype), {}
        for index, layer in enumerate(self.layers[:len(self.layers) if top is None else top + 1]):
            if index in self.shape.memory_layers:
                h, q, k, v, own = self.functions["memory_documents"](h, layer.weights(), tables, documents, drop)
                memory[index] = {"q": q, "k": k, "v": v, "own": own}
                if onward is not None and index == max(self.shape.memory_layers):
                    h, bias, drop = h[onward], bias[onward], None if drop is None else drop[onward]
            else:
                h = self.functions["local_documents"](h, layer.weights(), tables["true"], bias, drop)
        return h, memory

    def run_long(self, rows, dtype, top=None, piece=32, reach=None, best=None):
        """rows [B, N * R], each a document of N blocks, which are computed `piece` or a few more at a time: earlier ones
        are there as keys and values only. reach: instead of the shape's; best: as in grouped_attention. -> (stream
        [B, N * R, C], {memory layer: dict of k, v}). With `top`, nothing behind that layer's keys and values is computed,
        and there is no stream."""
        shape = self.shape if reach is None else dataclasses.replace(self.shape, reach=reach)
        chunk = -(-shape.window // shape.rows)                     # blocks of a chunk of the window
        piece = -(-piece // chunk) * chunk
        kept = {index: max(1, -(-shape.reach // chunk)) * chunk if index in shape.memory_layers else chunk
                for index in range(shape.layers)}                  # earlier blocks that a layer sees
        blocks, streams, past = rows.shape[1] // shape.rows, [], {}
        memory = {index: {"k": [], "v": []} for index in shape.memory_layers}
        for first in range(0, blocks, piece):
            part = rows[:, first * shape.rows:(first + piece) * shape.rows]
            part = F.pad(part, (0, -part.shape[1] % (chunk * shape.rows)), value=shape.padding)  # nothing looks ahead
            h = F.embedding(part, self.embedding).to(dtype)
            for index, layer in enumerate(self.layers):
                weights = layer.weights()
                q, k, v = project(h, weights, shape)
                if index in memory:
                    memory[index]["k"].append(k)
                    memory[index]["v"].append(v)
                    if index == top:
                        break
                if index in past:
                    k, v = (torch.cat(pair, 1) for pair in zip(past[index], (k, v)))
                past[index] = tuple(x[:, -kept[index] * shape.rows:] for x in (k, v))
                out = self._attend(index, q, k, v, shape, best)
                h = finish(h, out, weights, shape)
            else:
                streams.append(h)
        length = rows.shape[1]
        memory = {index: {name: torch.cat(parts, 1)[:, :length] for name, parts in both.items()}
                  for index, both in memory.items() if both["k"]}
        return torch.cat(streams, 1)[:, :length] if streams else None, memory

    def _attend(self, index, q, k, v, shape, best):
        """A layer's attention for some rows of one document [B, T, ...]; k and v end with the same row as q, and may begin
        earlier."""
        before, length = k.shape[1] - q.shape[1], k.shape[1]
        q = F.pad(q, (0, 0, 0, 0, before, 0))
        documents = torch.zeros(len(q), length // shape.rows, dtype=torch.int64, device=q.device)
        if index in shape.memory_layers:
            tables = {kind: self.table(kind, length, q.device) for kind in ("true", "offset", "far_query")}
            out, _ = attention.grouped_attention(q, k, v, tables, documents, shape, best)
        else:
            bias = attention.window_bias(documents, shape, q.dtype)
            out = attention.window_attention(q, k, v, self.table("true", length, q.device), bias, shape)
        return out[:, before:]

    def run_prompts(self, rows, memory=None, visible=None, dtype=torch.float32, drop=None):
        """rows [B * P, T], T < R, from position 0, no landmark in them. Without memory: pass 1, up to the queries of
        the top memory layer; -> {layer: q}. With memory (of run_documents) and visible [B, P, N]: pass 2;
        -> (stream [B * P, T, C], {layer: dict of q and own}). drop [B * P]: as in run_documents."""
        length, device = rows.shape[1], rows.device
        tables = {kind: self.table(kind, length, device) for kind in ("true", "far_query")}
        if memory:
            tables["memory"] = self.table("offset", next(iter(memory.values()))["k"].shape[1], device)
        h, read = F.embedding(rows, self.embedding).to(dtype), {}
        last = max(self.shape.memory_layers)
        for index, layer in enumerate(self.layers):
            weights = layer.weights()
            if index in self.shape.memory_layers and memory:
                h, q, own = self.functions["memory_prompts"](h, weights, tables, memory[index]["k"],
                                                             memory[index]["v"], visible, drop)
                read[index] = {"q": q, "own": own}
                continue
            if index in self.shape.memory_layers:
                read[index] = project(h, weights, self.shape)[0]
                if index == last:
                    return read
            h = self.functions["local_prompts"](h, weights, tables["true"], drop)
        return h, read

    def logits(self, h):
        """[..., C] -> [..., V]"""
        return linear(rms_norm(h, self.output_norm, self.shape.epsilon), self.output_matrix())

    def output_matrix(self):
        return self.embedding if self.output is None else self.output

    # ------------------------------------------------------------ naive, for tests

    def forward(self, rows, memory=None, slots=None):
        """rows [B, T] of one sequence from position 0; memory {layer: (k, v)} [B, M * R, G, D]. -> (logits [B, T, V],
        {layer: (q, k, v)} before rotation, {layer: landmark probabilities of the memory [B, H, T, M]})"""
        h, states, masses = F.embedding(rows, self.embedding), {}, {}
        for index, layer in enumerate(self.layers):
            weights = layer.weights()
            q, k, v = project(h, weights, self.shape)
            if index in self.shape.memory_layers:
                out, mass = attention.grouped_attention_naive(q, k, v, self.shape, memory[index] if memory else None, slots)
                states[index], masses[index] = (q, k, v), mass
            else:
                out = attention.window_attention_naive(q, k, v, self.shape)
            h = finish(h, out, weights, self.shape)
        return self.logits(h), states, masses

    # ------------------------------------------------------------ scores of landmarks

    def landmark_keys(self, memory):
        """{layer: {"k": [B, T, G, D]}} -> joint landmarks [B, N, layers, G, D], rotated to their offset, float32."""
        offset = torch.tensor([self.shape.block_size], device=self.embedding.device)
        table = attention.rotary_table(offset, self.shape.head_width, self.shape.rotary_base)
        keys = [memory[layer]["k"][:, self.shape.block_size::self.shape.rows].float() for layer in self.shape.memory_layers]
        return attention.rotate(torch.stack(keys, 2), table)

    def offset_keys(self, keys):
        """Keys of one memory layer [B, T, G, D] -> [B, N, R, G, D], rotated to their offsets."""
        table = self.table("offset", keys.shape[1], keys.device)
        rotated = attention.rotate(attention.heads_first(keys), table)
        return attention.heads_first(rotated).unflatten(1, (-1, self.shape.rows))

    def far_queries(self, queries):
        """{layer: [P, T, H, D]} of prompts from position 0 -> [P, T, layers, H, D], rotated and scaled, float32."""
        stacked = torch.stack([queries[layer].float() for layer in self.shape.memory_layers], 2)
        cos, sin = self.table("far_query", stacked.shape[1], stacked.device)
        return attention.rotate(stacked, (cos[:, None, None], sin[:, None, None])) / math.sqrt(self.shape.head_width)

    def pooled_query(self, queries, tokens):
        """queries as above; tokens [P, T]: which rows are the prompt's tokens. -> [P, layers, G, D]"""
        far = self.far_queries(queries)
        kept = tokens[:, :, None, None, None].float()
        mean = (far * kept).sum(1) / kept.sum(1)
        last = far[torch.arange(len(far), device=far.device), tokens.sum(1) - 1]
        return (mean + last).unflatten(2, (self.shape.kv_heads, -1)).sum(3)


def with_landmarks(tokens, landmark):
    """Tokens of blocks [B, N, 63] -> rows [B, T], a landmark behind each block"""
    return torch.cat((tokens, torch.full_like(tokens[:, :, :1], landmark)), 2).flatten(1)


def count_parameters(model):
    return sum(p.numel() for p in model.parameters())
