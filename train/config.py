"""Shape of a landmark model, and the settings of a training run (train/configs/*.json)."""
import dataclasses
import json
import pathlib
from typing import Tuple


@dataclasses.dataclass(frozen=True)
class Shape:
    """What the weights and the attention of a model look like; names as in the GGUF keys."""
    layers: int = 12
    width: int = 512
    heads: int = 8
    kv_heads: int = 2
    head_width: int = 64
    inner: int = 1408
    vocabulary: int = 16384
    block_size: int = 63           # ordinary tokens in a block; a landmark follows them
    landmark: int = 4              # token id
    padding: int = 0               # token id
    memory_layers: Tuple[int, ...] = (3, 7)
    window: int = 256
    near_blocks: int = 4
    reach: int = 31
    slot: bool = True              # position mapping "slot"; otherwise "stingy"
    rotary_base: float = 10000.0
    epsilon: float = 1e-5
    tied: bool = True              # the output matrix is the embedding

    @property
    def rows(self):
        """Rows of a block: its tokens and its landmark."""
        return self.block_size + 1

    @property
    def far(self):
        """How far behind the start of its block a far query stands (`slot`)."""
        return self.near_blocks * self.rows


@dataclasses.dataclass(frozen=True)
class Settings:
    """A run's settings; losses are weighted sums, see train.py."""
    muon_rate: float = 3e-3
    adam_rate: float = 2e-3
    warm_up: int = 100             # steps
    decay_share: float = 0.3       # of the run's time, at its end; 0: there is no stable.pt, final.pt is as it would be
    temperature: float = 0.02      # of the teacher's cosines
    gate_temperature: float = 4.0  # of the sum of landmark scores over layers and heads
    language: float = 1.0
    contrast: float = 0.5
    distillation: float = 1.0
    drift: float = 1e-3            # squared mean of a prompt's joint scores
    size: float = 1e-3             # mean square of the joint scores' parts, by memory layer and KV head
    attend: float = 0.5            # re-ranking by exact attention
    attend_distillation: float = 0.5
    imitation: float = 0.5         # of exact attention by the landmarks
    answer: float = 1.0
    gate: float = 0.5
    point: float = 0.5             # where in the context the answer's tokens stand, by the top memory layer's attention
    point_temperature: float = 4.0  # of the sum of its heads
    stream: float = 0.5            # copies inside a context: their tokens, and their gates with `gate`
    reread: float = 1.0            # answers of documents that read a text again
    dropout: float = 0.0           # in prompts and passages with questions, which come again often
    clip: float = 5.0              # norm of the gradient at most
    log_every: int = 20


def load_config(path):
    """-> (Shape, step values, Settings) of a JSON file with the objects "shape", "step" and "settings"."""
    values = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    shape = dict(values.get("shape", {}))
    if "memory_layers" in shape:
        shape["memory_layers"] = tuple(shape["memory_layers"])
    return Shape(**shape), values.get("step", {}), Settings(**values.get("settings", {}))


def shape_from_gguf(keys):
    """keys: {name: value} of a GGUF file."""
    layers = keys["llama.block_count"]
    heads = keys["llama.attention.head_count"]
    width = keys["llama.embedding_length"]
    return Shape(layers=layers, width=width, heads=heads,
                 kv_heads=keys.get("llama.attention.head_count_kv", heads),
                 head_width=keys.get("llama.rope.dimension_count", width // heads),
                 inner=keys["llama.feed_forward_length"], vocabulary=len(keys["tokenizer.ggml.tokens"]),
                 block_size=keys["landmark.block_size"], landmark=keys["landmark.token_id"],
                 padding=keys.get("tokenizer.ggml.padding_token_id", 0),
                 memory_layers=tuple(keys.get("landmark.memory_layers", range(layers))),
                 window=keys.get("landmark.window", 0), near_blocks=keys.get("landmark.near_blocks", 0),
                 reach=keys.get("landmark.reach", 31),
                 slot=keys.get("landmark.position_mapping", "slot") == "slot",
                 rotary_base=keys.get("llama.rope.freq_base", 10000.0),
                 epsilon=keys["llama.attention.layer_norm_rms_epsilon"])
