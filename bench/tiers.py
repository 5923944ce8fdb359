#!/usr/bin/env python3
"""The tiers of keys and values (lmk index --kv) side by side: room on disk, and what each loses.

    bench/tiers.py LMK TEXTS.jsonl SET... [--folder FOLDER] [--questions N] [--asked N] [--stretches N] [--passkeys N]

A SET is a folder with corpus.jsonl, queries.jsonl, qrels.tsv and questions.jsonl (bench/make_sets.py makes them). Each is
indexed once for each tier, then asked:
  - lmk eval retrieval and lmk eval qa over N questions (--questions) of each set, lmk eval passkey with N texts of 4,096
    tokens (--passkeys), lmk eval perplexity over N stretches (--stretches) of each text of TEXTS.jsonl;
  - lmk ask with N questions (--asked) of each set, for the time that an answer takes.
Collections and the evaluations' JSON stay in FOLDER (tiers); what is there is not done again. Prints a table.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

TIERS = ["f16", "q8_0", "q4_0", "none"]
BLOCK_TOKENS = 63  # the last block of a passage is filled up


class Lmk:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        os.makedirs(folder, exist_ok=True)

    def run(self, arguments):
        done = subprocess.run([self.program, *arguments, "-q", "--json"], text=True, stdout=subprocess.PIPE)
        if done.returncode not in (0, 1):  # 1: an answer that nothing supports
            done.check_returncode()
        return json.loads(done.stdout)

    def kept(self, name, measure):
        """What `measure` gives, once and for all."""
        path = os.path.join(self.folder, name + ".json")
        if not os.path.exists(path):
            result = measure()
            with open(path + ".new", "w", encoding="utf-8") as file:
                json.dump(result, file)
            os.rename(path + ".new", path)
        with open(path, encoding="utf-8") as file:
            return json.load(file)


def ask(lmk, collection, questions, count):
    """Milliseconds of each answer, without loading the model, and what was computed again for it."""
    with open(questions, encoding="utf-8") as lines:
        asked = [json.loads(line)["question"] for _, line in zip(range(count), lines)]
    answers = [lmk.run(["ask", question, "--generate", "-c", collection]) for question in asked]
    return [{"milliseconds": answer["milliseconds"]["total"], **answer.get("computed", {})} for answer in answers]


def measure_set(lmk, tier, folder, options):
    name = "%s-%s" % (os.path.basename(os.path.normpath(folder)), tier)
    collection = os.path.join(lmk.folder, name + ".lmk")
    kept = ["-c", collection, "--kv", tier, "--corpus", folder + "/corpus.jsonl"]
    questions = folder + "/questions.jsonl"
    return {
        "retrieval": lmk.kept(name + "-retrieval", lambda: lmk.run(
            ["eval", "retrieval", *kept, "--queries", folder + "/queries.jsonl", "--qrels", folder + "/qrels.tsv",
             "--limit", str(options.questions)])),
        "qa": lmk.kept(name + "-qa", lambda: lmk.run(
            ["eval", "qa", *kept, "--questions", questions, "--limit", str(options.questions)])),
        "info": lmk.kept(name + "-info", lambda: lmk.run(["info", "-c", collection])),
        "ask": lmk.kept(name + "-ask", lambda: ask(lmk, collection, questions, options.asked)),
    }


def measure(lmk, tier, options):
    found = {"sets": [measure_set(lmk, tier, folder, options) for folder in options.sets]}
    found["passkey"] = lmk.kept("passkey-" + tier, lambda: lmk.run(
        ["eval", "passkey", "--kv", tier, "--lengths", "4096", "--runs", str(options.passkeys)]))
    # What is not kept is computed again, exactly.
    found["perplexity"] = lmk.kept("perplexity-" + tier, lambda: lmk.run(
        ["eval", "perplexity", "--kv", tier, "--corpus", options.texts, "--runs", str(options.stretches)]))
    return found


def mean(values):
    return statistics.fmean(values)


def row(tier, found):
    sets, passkey = found["sets"], found["passkey"]["modes"]["hybrid"]
    rows = sum(item["info"]["blocks"] for item in sets) * BLOCK_TOKENS
    asked = [answer for item in sets for answer in item["ask"]]
    computed = mean(answer.get("tokens", 0) for answer in asked)
    return {
        "tier": tier,
        "bytes a token": "%.0f" % (sum(item["info"]["bytes"]["keys_values"] for item in sets) / rows),
        "with landmarks and text": "%.0f" % (sum(item["info"]["bytes"][table] for item in sets
                                                 for table in ("keys_values", "landmarks", "text")) / rows),
        "perplexity": "%.3f" % found["perplexity"]["modes"]["memory"]["perplexity"],
        "R@1, landmarks": "%.3f" % mean(item["retrieval"]["modes"]["landmark"]["recall@1"] for item in sets),
        "R@1, hybrid": "%.3f" % mean(item["retrieval"]["modes"]["hybrid"]["recall@1"] for item in sets),
        "F1, passage known": "%.1f" % (100 * mean(item["qa"]["modes"]["known"]["f1"] for item in sets)),
        "F1, retrieved": "%.1f" % (100 * mean(item["qa"]["modes"]["retrieved"]["f1"] for item in sets)),
        "pass keys right": "%.0f of %d" % (passkey["exact_match"] * passkey["cells"][0]["texts"], passkey["cells"][0]["texts"]),
        "an answer, ms": "%.0f" % statistics.median(answer["milliseconds"] for answer in asked),
        "tokens computed again": "%.0f" % computed,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lmk")
    parser.add_argument("texts", metavar="TEXTS.jsonl")
    parser.add_argument("sets", nargs="+", metavar="SET")
    parser.add_argument("--folder", default="tiers")
    for name, default in ("questions", 200), ("asked", 20), ("stretches", 4), ("passkeys", 20):
        parser.add_argument("--" + name, type=int, default=default)
    options = parser.parse_args()
    lmk = Lmk(options.lmk, options.folder)
    rows = []
    for tier in TIERS:
        started = time.time()
        rows.append(row(tier, measure(lmk, tier, options)))
        print("# %s: %.0f s" % (tier, time.time() - started), flush=True)
    print("| %s |" % " | ".join(rows[0]))
    print("|%s" % ("---|" * len(rows[0])))
    for cells in rows:
        print("| %s |" % " | ".join(cells.values()))


if __name__ == "__main__":
    main()
