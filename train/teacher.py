"""The teacher: a BERT sentence encoder read from an 8-bit ONNX file into plain torch.

Letters: B texts, S word pieces, E width, A heads. An embedding is the state of the first piece ([CLS]),
scaled to length 1; a question gets the instruction that the encoder was trained with.
"""
import json
import pathlib
import re
import unicodedata

import numpy as np
import torch
import torch.nn.functional as F

from .onnx_weights import read_onnx

INSTRUCTION = "Represent this sentence for searching relevant passages: "
CLS, SEP = 101, 102
_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")


def to_device(tensor, device):
    """Copies without waiting for what the GPU is doing: that takes pinned memory."""
    return tensor.pin_memory().to(device, non_blocking=True) if torch.device(device).type == "cuda" else tensor.to(device)


class WordPiece:
    """Uncased BERT tokenizer; words seen are remembered."""

    def __init__(self, tokenizer_json):
        self.vocabulary = json.loads(pathlib.Path(tokenizer_json).read_text(encoding="utf-8"))["model"]["vocab"]
        self.seen = {}

    def encode(self, text, limit):
        """-> word-piece ids with [CLS] and [SEP], at most `limit` of them."""
        ids = [CLS]
        for word in _WORD.findall(text.lower()):
            pieces = self.seen.get(word)
            if pieces is None:
                pieces = self.seen[word] = self._split(word)
            ids += pieces
            if len(ids) >= limit:
                break
        return ids[:limit - 1] + [SEP]

    def _split(self, word):
        word = "".join(c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn")
        pieces, start = [], 0
        while start < len(word):
            end = len(word)
            while end > start:
                piece = ("##" if start else "") + word[start:end]
                if piece in self.vocabulary:
                    break
                end -= 1
            else:
                return [self.vocabulary["[UNK]"]]
            pieces.append(self.vocabulary[piece])
            start = end
        return pieces


def padded(lists, length):
    """Lists of ids -> uint16 [B, length], filled with 0 ([PAD])."""
    out = np.zeros((len(lists), length), np.uint16)
    for row, ids in zip(out, lists):
        row[:len(ids)] = ids
    return out


def _dequantised(path):
    """-> {name: float32 array}; matrices of the encoder as [in, out]."""
    tensors, nodes = read_onnx(path)
    out = {}
    for name, array in tensors.items():
        if name.endswith("_quantized") and name.startswith("embeddings."):
            base = name[:-len("_quantized")]
            out[base] = (array.astype(np.float32) - tensors[base + "_zero_point"]) * tensors[base + "_scale"]
        elif array.dtype == np.float32:
            out[name] = array
    for operator, name, inputs in nodes:
        if operator == "MatMulInteger" and "/encoder/" in name:
            base = inputs[1][:-len("_quantized")]
            weight = (tensors[inputs[1]].astype(np.float32) - tensors[base + "_zero_point"]) * tensors[base + "_scale"]
            out[name[1:].rsplit("/MatMul", 1)[0].replace("/", ".") + ".matrix"] = weight
    return out


def _trimmed(ids):
    """ids [B, S] of numpy -> tensor without the columns that are padding in every row, but for some."""
    used = int((ids != 0).sum(1).max())
    return torch.from_numpy(ids[:, :-(-used // 16) * 16].astype(np.int64))


class Teacher:
    """embed(ids) -> [B, E] of length 1."""

    def __init__(self, path, device, dtype=torch.float16, heads=12):
        self.weights = {k: torch.tensor(v).to(device, dtype) for k, v in _dequantised(path).items()}
        self.layers = 1 + max(int(k.split(".")[2]) for k in self.weights if k.startswith("encoder.layer."))
        self.heads, self.device = heads, device
        self.width = self.weights["embeddings.LayerNorm.weight"].numel()

    @torch.no_grad()
    def embed(self, ids, chunk=2048):
        """ids: integer [B, S] with 0 as padding."""
        ids = np.asarray(ids)
        return torch.cat([self._encode(to_device(_trimmed(ids[i:i + chunk]), self.device)) for i in range(0, len(ids), chunk)])

    def _norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.weights[name + ".weight"], self.weights[name + ".bias"], 1e-12)

    def _linear(self, x, name):
        return x @ self.weights[name + ".matrix"] + self.weights[name + ".bias"]

    def _attention(self, x, name, keep):
        batch, length, width = x.shape
        q, k, v = (self._linear(x, f"{name}.self.{part}").view(batch, length, self.heads, -1).transpose(1, 2)
                   for part in ("query", "key", "value"))
        if hasattr(F, "scaled_dot_product_attention"):
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        else:
            scores = q @ k.transpose(-1, -2) / (width // self.heads) ** 0.5
            out = scores.masked_fill(~keep, -1e4).softmax(-1) @ v
        return self._linear(out.transpose(1, 2).reshape(batch, length, width), name + ".output.dense")

    def _encode(self, ids):
        keep = (ids != 0)[:, None, None].expand(-1, 1, ids.shape[1], -1)
        table = self.weights
        x = table["embeddings.word_embeddings.weight"][ids] + table["embeddings.position_embeddings.weight"][:ids.shape[1]]
        x = self._norm(x + table["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(self.layers):
            name = f"encoder.layer.{layer}"
            x = self._norm(x + self._attention(x, name + ".attention", keep), name + ".attention.output.LayerNorm")
            inner = F.gelu(self._linear(x, name + ".intermediate.dense"))
            x = self._norm(x + self._linear(inner, name + ".output.dense"), name + ".output.LayerNorm")
        return F.normalize(x[:, 0].float(), dim=-1)
