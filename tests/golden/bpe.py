#!/usr/bin/python3
"""Makes bpe-vocabulary.tsv and bpe-expected.jsonl, which tests/unit/test_tokenizer.c reads.

    tests/golden/bpe.py

Trains a small SentencePiece BPE vocabulary on the books in samples/ and records what SentencePiece makes of hard and of
ordinary texts. Needs Debian's sentencepiece and python3-sentencepiece, and gives the same files again as long as the
samples stay the same; the tests themselves need neither this program nor those packages.

bpe-vocabulary.tsv: piece, score, type (as in GGUF), in order of id; a line feed is written as \\n.
bpe-expected.jsonl: {"text", "ids", "unused_ids"}: the last with every seventh piece set to type unused.
"""
import glob
import json
import os
import random
import struct
import subprocess
import tempfile

import sentencepiece

FOLDER = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(FOLDER, "..", "..", "samples")
USER_PIECES = ["\n", "##", "###", "\u2581\u2581"]
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = range(1, 7)

HARD = [
    "", " ", "  ", "   ", "     x     ", "\n", "\n\n", " \n ", "a\nb", "a \n b", "\n a", "a\n", "a\tb", "\t\t", "\r\n",
    "#", "##", "###", "####", "#####", "######", "a##b", "a ### b", "the##the", "x#\n#y", "  ##  ", "a  b   c    d",
    "\x01\x02\x1f\x7f", "e\u0301", "\u00e9", "na\u00efve caf\u00e9", "\u201cquoted\u201d \u2014 dash\u2026", "\u4f60\u597d\u4e16\u754c",
    "\u041f\u0440\u0438\u0432\u0435\u0442", "\U0001f600", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\ufffd", "\ufeffstart", "\u00a0\u2009wide", "\U0010ffff",
    "1234567890", "3.14159", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "the" * 20, "thethe the", "abcabcabc" * 5,
    "http://example.org/?q=1&r=2", "(a) [b] {c} <d>", "MIXED Case WORDS", "don't can't won't", "--- *** ___",
]


def field(number, wire, payload):
    return bytes([number << 3 | wire]) + payload


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def block(number, payload):
    return field(number, 2, varint(len(payload)) + payload)


def model_bytes(pieces):
    """A SentencePiece model file: BPE with byte fallback, identity normalisation, a space put before the text."""
    out = b""
    for text, score, kind in pieces:
        out += block(1, block(1, text.encode()) + field(2, 5, struct.pack("<f", score)) + field(3, 0, varint(kind)))
    trainer = field(3, 0, varint(2)) + b"".join(
        varint(number << 3) + varint(value) for number, value in ((35, 1), (40, 1), (41, 2), (42, 3), (43, 0)))
    normalizer = block(1, b"identity") + field(3, 0, varint(1)) + field(4, 0, varint(0)) + field(5, 0, varint(1))
    return out + block(2, trainer) + block(3, normalizer)


def processor(pieces):
    return sentencepiece.SentencePieceProcessor(model_proto=model_bytes(pieces))


def train(books):
    with tempfile.TemporaryDirectory() as folder:
        sample = os.path.join(folder, "sample.txt")
        with open(sample, "w", encoding="utf-8") as file:
            file.write("\n".join(books))
        prefix = os.path.join(folder, "bpe")
        subprocess.run(["spm_train", f"--input={sample}", f"--model_prefix={prefix}", "--vocab_size=1200",
                        "--model_type=bpe", "--byte_fallback=true", "--normalization_rule_name=identity",
                        "--remove_extra_whitespaces=false", "--add_dummy_prefix=true", "--split_digits=true",
                        "--num_threads=1", "--pad_id=0", "--unk_id=1", "--bos_id=2", "--eos_id=3", "--pad_piece=<pad>",
                        "--control_symbols=<landmark>", f"--user_defined_symbols={','.join(USER_PIECES)}",
                        "--minloglevel=2"], check=True)
        model = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")

    def kind(i):
        return (CONTROL if model.is_control(i) else UNKNOWN if model.is_unknown(i) else BYTE if model.is_byte(i) else
                USER if model.id_to_piece(i) in USER_PIECES else NORMAL)
    return [(model.id_to_piece(i), model.get_score(i), kind(i)) for i in range(len(model))]


def texts(books):
    """Hard cases, stretches of the books, and random mixtures."""
    generator = random.Random(7)
    yield from HARD
    for _ in range(60):
        book = generator.choice(books)
        start = generator.randrange(len(book) - 400)
        yield book[start:start + generator.randrange(20, 400)]
    letters = list("etaoin shrdlu") + ["th", "the", "ing ", "##", "#", "\n", "  ", " ", "\u00e9", "\U0001f600", "\u4e16", "\x02"]
    for _ in range(80):
        yield "".join(generator.choice(letters) for _ in range(generator.randrange(1, 60)))


def main():
    books = [open(path, encoding="utf-8").read() for path in sorted(glob.glob(SAMPLES + "/*.txt") + glob.glob(SAMPLES + "/*.md"))]
    pieces = train(books)
    unused = [(text, score, UNUSED if kind == NORMAL and i % 7 == 0 else kind) for i, (text, score, kind) in enumerate(pieces)]
    plain, partly = processor(pieces), processor(unused)
    with open(os.path.join(FOLDER, "bpe-vocabulary.tsv"), "w", encoding="utf-8") as file:
        for text, score, kind in pieces:
            print(text.replace("\n", "\\n"), f"{score:g}", kind, sep="\t", file=file)
    with open(os.path.join(FOLDER, "bpe-expected.jsonl"), "w", encoding="utf-8") as file:
        for text in texts(books):
            print(json.dumps({"text": text, "ids": plain.encode(text), "unused_ids": partly.encode(text)}), file=file)


if __name__ == "__main__":
    main()
