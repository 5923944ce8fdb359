"""A Llama checkpoint made into a landmark model: the same logits, the same tokens, and training goes on from it."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np
import torch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
from train import checkpoint, export, finetune, safetensors, train  # noqa: E402
from train.config import load_config  # noqa: E402
from train.model import LandmarkModel  # noqa: E402
from train.tokenizer import load  # noqa: E402
from train.weights import model_from_gguf, named_weights  # noqa: E402

LAYERS, WIDTH, HEADS, KV_HEADS, INNER, PIECES = 3, 32, 4, 2, 64, 330
CONFIG = {"model_type": "llama", "hidden_act": "silu", "hidden_size": WIDTH, "intermediate_size": INNER,
          "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "rms_norm_eps": 1e-6,
          "rope_theta": 500.0, "vocab_size": PIECES, "tie_word_embeddings": False}
TEXT = "The grey goose went to market with 12 eggs and 3 cakes.\nThere it met the miller, who asked for the eggs.\n"


def random_tensors(generator):
    def normal(*size):
        return (generator.normal(size=size) / size[-1] ** 0.5).astype(np.float32)
    kv = KV_HEADS * WIDTH // HEADS
    out = {"model.embed_tokens.weight": normal(PIECES, WIDTH) * 6, "lm_head.weight": normal(PIECES, WIDTH),
           "model.norm.weight": 1 + normal(WIDTH)}
    for layer in range(LAYERS):
        for name, size in (("self_attn.q_proj", (WIDTH, WIDTH)), ("self_attn.k_proj", (kv, WIDTH)),
                           ("self_attn.v_proj", (kv, WIDTH)), ("self_attn.o_proj", (WIDTH, WIDTH)),
                           ("mlp.gate_proj", (INNER, WIDTH)), ("mlp.up_proj", (INNER, WIDTH)), ("mlp.down_proj", (WIDTH, INNER))):
            out[f"model.layers.{layer}.{name}.weight"] = normal(*size) * 2
        for name in ("input_layernorm", "post_attention_layernorm"):
            out[f"model.layers.{layer}.{name}.weight"] = 1 + normal(WIDTH)
    return out


def write_safetensors(path, tensors, kind="F32"):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in tensors.items():
        part = array.astype("<f4").tobytes() if kind == "F32" else (array.view(np.uint32) >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    head = json.dumps(header).encode()
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(head)) + head + data)


def llama(tensors, ids):
    """Forward pass of a Llama as transformers lays it out, in float64: rotation of halves, causal attention."""
    w = {name: array.astype(np.float64) for name, array in tensors.items()}
    width, count = WIDTH // HEADS, len(ids)
    angle = np.arange(count)[:, None] * CONFIG["rope_theta"] ** (-np.arange(0, width, 2) / width)[None]
    cos, sin = (np.concatenate((f(angle), f(angle)), 1)[:, None] for f in (np.cos, np.sin))

    def norm(x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + CONFIG["rms_norm_eps"]) * weight

    def rotate(x):
        return x * cos + np.concatenate((-x[..., width // 2:], x[..., :width // 2]), -1) * sin

    h = w["model.embed_tokens.weight"][ids]
    for layer in range(LAYERS):
        def of(name):
            return w[f"model.layers.{layer}.{name}.weight"]
        x = norm(h, of("input_layernorm"))
        q, k, v = ((x @ of(f"self_attn.{name}_proj").T).reshape(count, -1, width) for name in "qkv")
        q, k = rotate(q), rotate(k)
        out = np.zeros((count, HEADS, width))
        for head in range(HEADS):
            g = head * KV_HEADS // HEADS
            score = q[:, head] @ k[:, g].T / width ** 0.5
            weight = np.exp(score - score.max(1, keepdims=True)) * np.tri(count)
            out[:, head] = weight / weight.sum(1, keepdims=True) @ v[:, g]
        h = h + out.reshape(count, -1) @ of("self_attn.o_proj").T
        x = norm(h, of("post_attention_layernorm"))
        gate = x @ of("mlp.gate_proj").T
        h = h + (gate / (1 + np.exp(-gate)) * (x @ of("mlp.up_proj").T)) @ of("mlp.down_proj").T
    return norm(h, w["model.norm.weight"]) @ w["lm_head.weight"].T


class Finetune(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kept = tempfile.TemporaryDirectory()
        cls.folder = cls.kept.name
        cls.tensors = random_tensors(np.random.default_rng(0))
        names = list(cls.tensors)
        write_safetensors(f"{cls.folder}/model-1.safetensors", {n: cls.tensors[n] for n in names[:9]})
        write_safetensors(f"{cls.folder}/model-2.safetensors", {n: cls.tensors[n] for n in names[9:]})
        with open(f"{cls.folder}/config.json", "w") as out:
            json.dump(CONFIG, out)
        with open(f"{cls.folder}/text", "w") as out:
            out.write(TEXT * 50)
        subprocess.run(["spm_train", f"--input={cls.folder}/text", f"--model_prefix={cls.folder}/tokenizer",
                        f"--vocab_size={PIECES - 2}", "--model_type=bpe", "--byte_fallback=true", "--minloglevel=4",
                        "--normalization_rule_name=identity", "--remove_extra_whitespaces=false"],
                       check=True, stderr=subprocess.DEVNULL)
        cls.old = load(f"{cls.folder}/tokenizer.model")

    @classmethod
    def tearDownClass(cls):
        cls.kept.cleanup()

    def converted(self, **landmark):
        model, data = finetune.convert(self.folder, **landmark)
        with open(f"{self.folder}/new.model", "wb") as out:
            out.write(data)
        return model, load(f"{self.folder}/new.model")

    def check_logits(self, model, new, old_ids, new_ids):
        expected = llama(self.tensors, old_ids)
        with torch.no_grad():
            logits, _, _ = model(torch.tensor([new_ids]))
        ids = [i for i in range(6, new.vocab_size())]
        old = [self.old.piece_to_id(new.id_to_piece(i)) for i in ids]
        self.assertGreater(np.abs(expected).max(), 1)
        self.assertLess(np.abs(logits[0, :, ids].double().numpy() - expected[:, old]).max(), 1e-4)

    def test_logits_without_memory(self):
        """All layers local, with a window over everything."""
        whole = finetune.shape_from_llama

        def shape(values, vocabulary, **landmark):
            return whole(values, vocabulary, **{**landmark, "memory_layers": (0,), "window": 10 ** 6})
        with mock.patch.object(finetune, "shape_from_llama", shape):
            model, new = self.converted()
        object.__setattr__(model.shape, "memory_layers", ())
        old = self.old.encode(TEXT * 6)
        self.assertGreater(len(old), 200)
        self.check_logits(model, new, old, new.encode(TEXT * 6))

    def test_logits_within_a_block(self):
        """A row that sees nothing but its own block: the grouped softmax is the plain one."""
        model, new = self.converted()
        self.assertEqual(model.shape.memory_layers, (0, 1, 2))
        self.check_logits(model, new, self.old.encode(TEXT)[:63], new.encode(TEXT)[:63])

    def test_tokenizer(self):
        model, new = self.converted()
        self.assertEqual([new.id_to_piece(i) for i in range(6)], ["<pad>", "<unk>", "<s>", "</s>", "<landmark>", "\n"])
        self.assertEqual((new.pad_id(), new.unk_id(), new.bos_id(), new.eos_id()), (0, 1, 2, 3))
        text = "The goose asked, 45 times: Märchen?\n\n who  met <landmark> it"
        expected = [piece.replace("<0x0A>", "\n") for piece in self.old.encode(text, out_type=str)]
        self.assertIn("\n", expected)
        self.assertEqual(new.encode(text, out_type=str), expected)
        self.assertEqual(new.decode(new.encode(text)), text)
        self.assertEqual([new.get_score(i) for i in range(6, 60)],
                         [self.old.get_score(self.old.piece_to_id(new.id_to_piece(i))) for i in range(6, 60)])
        rows = self.tensors["model.embed_tokens.weight"]
        np.testing.assert_allclose(model.embedding[4].detach(), rows.mean(0), atol=1e-6)
        np.testing.assert_array_equal(model.embedding[5].detach(), rows[self.old.piece_to_id("<0x0A>")])
        np.testing.assert_array_equal(model.output[2].detach(), self.tensors["lm_head.weight"][self.old.bos_id()])

    def test_bfloat16_and_damage(self):
        tensors = {"a": np.array([[1.5, -2.0], [0.25, 3e38]], np.float32)}
        path = f"{self.folder}/a.other"
        write_safetensors(path, tensors, "BF16")
        np.testing.assert_allclose(safetensors.read_file(path)["a"], tensors["a"], rtol=1 / 128)
        os.truncate(path, os.path.getsize(path) - 2)
        with self.assertRaisesRegex(ValueError, "a are cut off"):
            safetensors.read_file(path)

    def test_what_is_no_llama(self):
        for change in ({"attention_bias": True}, {"model_type": "qwen2"}, {"rope_scaling": {"rope_type": "llama3"}}):
            with self.assertRaisesRegex(ValueError, next(iter(change))):
                finetune.shape_from_llama({**CONFIG, **change}, 400, memory_layers=(0,))
        with self.assertRaisesRegex(ValueError, "memory layers"):
            finetune.shape_from_llama(CONFIG, 400, memory_layers=(3,))

    def test_training_goes_on(self):
        """Conversion, two steps of training, export: what is written can be read, and the weights have moved."""
        out = f"{self.folder}/out"
        self.run_main(finetune, "--llama", self.folder, "--like", f"{ROOT}/train/configs/tiny.json", "--out", out,
                      "--memory-layers", "1", "2")
        shape, _, settings = load_config(f"{out}/config.json")
        self.assertEqual((shape.memory_layers, shape.vocabulary, shape.tied), ((1, 2), PIECES + 1, False))
        self.assertAlmostEqual(settings.muon_rate, 3e-4)
        tokenizer = load(f"{out}/tokenizer.model")
        os.mkdir(f"{out}/parts")
        blocks = np.random.default_rng(1).integers(6, len(tokenizer), size=(64, 63)).astype(np.uint16)
        np.save(f"{out}/parts/part0.blocks.npy", blocks)
        np.save(f"{out}/parts/part0.starts.npy", np.array([0, 20]))
        with open(f"{out}/questions.jsonl", "w") as file:
            passage = {"source": "tales", "title": "", "text": TEXT.strip(), "qas": [{"question": "Who asked for the eggs?", "answers": ["the miller"]}]}
            print(json.dumps(passage), file=file)
        self.run_main(train, "--config", f"{out}/config.json", "--resume", f"{out}/start.pt", "--data", f"{out}/parts",
                      "--tokenizer", f"{out}/tokenizer.model", "--questions", f"{out}/questions.jsonl", "--out", f"{out}/run",
                      "--steps", "2", "--workers", "0", "--seconds", "1000", "--eager")
        before, after = LandmarkModel(shape), LandmarkModel(shape)
        checkpoint.load(f"{out}/start.pt", before)
        checkpoint.load(f"{out}/run/final.pt", after)
        for name in ("embedding", "output"):
            self.assertGreater((getattr(after, name) - getattr(before, name)).abs().max().item(), 0, name)
        self.run_main(export, "--config", f"{out}/config.json", "--checkpoint", f"{out}/run/final.pt", "--tokenizer",
                      f"{out}/tokenizer.model", "--out", f"{out}/model.gguf", "--texts", "3")
        read, keys = model_from_gguf(f"{out}/model.gguf")
        self.assertEqual(read.shape.memory_layers, (1, 2))
        self.assertEqual(keys["tokenizer.ggml.tokens"][4], "<landmark>")
        self.assertEqual(keys["landmark.answer.texts"], 3)
        for (name, expected), (_, actual) in zip(named_weights(after), named_weights(read)):
            self.assertLess(((actual - expected).norm() / expected.norm()).item(), 0.01, name)

    def run_main(self, module, *arguments):
        with mock.patch.object(sys, "argv", ["program", *arguments]):
            module.main()


if __name__ == "__main__":
    unittest.main()
