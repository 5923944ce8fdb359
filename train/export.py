"""Checkpoint to GGUF (matrices in Q8_0).

    python3 -m train.export --config FILE --checkpoint FILE --tokenizer MODEL --out FILE.gguf [--name NAME] [--can-answer]
        [--texts N]
"""
import argparse

from . import checkpoint, gguf
from .config import load_config
from .model import LandmarkModel
from .tokenizer import BOS, EOS, PAD, UNKNOWN, load
from .weights import named_weights

NORMAL, UNKNOWN_TYPE, CONTROL, BYTE = 1, 2, 3, 6
PROMPT = "Question: {question}\n Answer:"


def piece_types(model, landmark):
    def kind(i):
        if model.is_unknown(i):
            return UNKNOWN_TYPE
        if model.is_control(i) or i == landmark:
            return CONTROL
        return BYTE if model.is_byte(i) else NORMAL
    return [kind(i) for i in range(model.vocab_size())]


def keys(shape, model, name, context, can_answer, texts):
    """Keys of the file as gguf.write takes them."""
    u32, f32, text = gguf.UINT32, gguf.FLOAT32, gguf.STRING
    count = range(model.vocab_size())
    out = [("general.architecture", text, "llama"), ("general.name", text, name), ("general.file_type", u32, 7),
           ("llama.context_length", u32, context), ("llama.embedding_length", u32, shape.width),
           ("llama.block_count", u32, shape.layers), ("llama.feed_forward_length", u32, shape.inner),
           ("llama.attention.head_count", u32, shape.heads), ("llama.attention.head_count_kv", u32, shape.kv_heads),
           ("llama.rope.dimension_count", u32, shape.head_width), ("llama.rope.freq_base", f32, shape.rotary_base),
           ("llama.attention.layer_norm_rms_epsilon", f32, shape.epsilon), ("llama.vocab_size", u32, shape.vocabulary),
           ("landmark.block_size", u32, shape.block_size), ("landmark.token_id", u32, shape.landmark),
           ("landmark.memory_layers", (gguf.ARRAY, u32), list(shape.memory_layers)),
           ("landmark.window", u32, shape.window), ("landmark.near_blocks", u32, shape.near_blocks),
           ("landmark.reach", u32, shape.reach),
           ("landmark.position_mapping", text, "slot" if shape.slot else "stingy"),
           ("landmark.prompt.question", text, PROMPT)]
    if can_answer:
        out.append(("landmark.can_answer", gguf.BOOL, True))
    if texts:
        out.append(("landmark.answer.texts", u32, texts))
    return out + [
        ("tokenizer.ggml.model", text, "llama"),
        ("tokenizer.ggml.tokens", (gguf.ARRAY, text), [model.id_to_piece(i) for i in count]),
        ("tokenizer.ggml.scores", (gguf.ARRAY, f32), [model.get_score(i) for i in count]),
        ("tokenizer.ggml.token_type", (gguf.ARRAY, gguf.INT32), piece_types(model, shape.landmark)),
        ("tokenizer.ggml.bos_token_id", u32, BOS), ("tokenizer.ggml.eos_token_id", u32, EOS),
        ("tokenizer.ggml.unknown_token_id", u32, UNKNOWN), ("tokenizer.ggml.padding_token_id", u32, PAD),
        ("tokenizer.ggml.add_bos_token", gguf.BOOL, True), ("tokenizer.ggml.add_space_prefix", gguf.BOOL, True)]


def export(model, tokenizer, path, name, context=2048, can_answer=False, texts=0):
    """Writes a LandmarkModel and its SentencePiece model as one file. texts: how many it reads again to answer."""
    tensors = [(tensor, weight.detach().float().cpu().numpy(), gguf.F32 if weight.dim() == 1 else gguf.Q8_0)
               for tensor, weight in named_weights(model)]
    gguf.write(path, keys(model.shape, tokenizer, name, context, can_answer, texts), tensors)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--name", default="landmark-en-42m")
    parser.add_argument("--can-answer", action="store_true")
    parser.add_argument("--texts", type=int, default=0, choices=range(17), metavar="N",
                        help="texts that the model reads again to answer, 16 at most (0: it answers from memory)")
    options = parser.parse_args()
    shape, _, _ = load_config(options.config)
    model = LandmarkModel(shape)
    checkpoint.load(options.checkpoint, model)
    export(model, load(options.tokenizer), options.out, options.name, can_answer=options.can_answer,
           texts=options.texts)


if __name__ == "__main__":
    main()
