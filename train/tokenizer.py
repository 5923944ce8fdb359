"""Trains the SentencePiece tokenizer on a sample of the training texts.

    python3 -m train.tokenizer --text FOLDER --out PREFIX [--vocabulary 16384] [--megabytes 60]

BPE with byte fallback, no normalisation, white space kept, digits split, one space put before a text.
Pieces 0 to 5 are <pad> <unk> <s> </s> <landmark> and the newline. Needs the `spm_train` program.
"""
import argparse
import glob
import os
import random
import subprocess

from .json_lines import each_line

PAD, UNKNOWN, BOS, EOS, LANDMARK, NEWLINE = range(6)


def load(path):
    """The SentencePiece model at `path`."""
    import sentencepiece
    return sentencepiece.SentencePieceProcessor(model_file=path)


def prompt_ids(encode, question, limit=None):
    """Ids of the question prompt "Question: {question}\\n Answer:"; `encode` maps text to ids. A question that is too long
    for fewer than `limit` of them is cut."""
    after = [NEWLINE] + encode("Answer:")
    return encode("Question: " + question)[:limit and limit - 1 - len(after)] + after


def write_sample(folder, path, size, seed=0):
    """Lines drawn evenly from all training texts of `folder`, about `size` bytes of them."""
    files = sorted(glob.glob(f"{folder}/*.train.jsonl"))
    share = size / sum(os.path.getsize(name) for name in files)
    rng = random.Random(seed)
    with open(path, "w", encoding="utf-8") as out:
        for name in files:
            for record in each_line(name):
                for line in record["text"].split("\n"):
                    if rng.random() < share:
                        print(line[:4000], file=out)


def train(sample, prefix, vocabulary):
    subprocess.run(["spm_train", f"--input={sample}", f"--model_prefix={prefix}", f"--vocab_size={vocabulary}",
                    "--model_type=bpe", "--byte_fallback=true", "--normalization_rule_name=identity",
                    "--remove_extra_whitespaces=false", "--add_dummy_prefix=true", "--split_digits=true",
                    "--character_coverage=0.9995", "--max_sentence_length=16384", "--num_threads=2",
                    "--pad_id=0", "--unk_id=1", "--bos_id=2", "--eos_id=3", "--pad_piece=<pad>",
                    "--control_symbols=<landmark>", "--user_defined_symbols=\n", "--minloglevel=1"], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", required=True, help="folder of NAME.train.jsonl")
    parser.add_argument("--out", required=True, help="prefix of the .model and .vocab files")
    parser.add_argument("--vocabulary", type=int, default=16384)
    parser.add_argument("--megabytes", type=float, default=60)
    options = parser.parse_args()
    write_sample(options.text, options.out + ".sample.txt", options.megabytes * 1e6)
    train(options.out + ".sample.txt", options.out, options.vocabulary)
    os.remove(options.out + ".sample.txt")
    model = load(options.out + ".model")
    expected = ["<pad>", "<unk>", "<s>", "</s>", "<landmark>", "\n"]
    assert [model.id_to_piece(i) for i in range(6)] == expected, "spm_train laid out the first pieces differently"


if __name__ == "__main__":
    main()
