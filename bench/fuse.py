#!/usr/bin/env python3
"""Puts several runs into one, for lmk eval retrieval --run.

    bench/fuse.py [--method zscore|rrf] [--entries N] RUN.trec RUN.trec ... >OUT.trec

zscore: the sum of each run's scores in standard deviations from their mean, over N entries of the corpus (without
--entries: over those that any of the runs has for the question). An entry that a run lacks has the run's lowest score.
rrf: the sum of 1 / (60 + rank) (Cormack, Clarke and Buettcher 2009).
"""
import argparse
import collections
import math


def read_run(path):
    """{query: {entry: score}}, of an entry's several lines the best."""
    run = collections.defaultdict(dict)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            query, _, entry, _, score, _ = line.split()
            run[query][entry] = max(float(score), run[query].get(entry, -math.inf))
    return run


def z_scores(scores, entries, count):
    if not scores:
        return dict.fromkeys(entries, 0.0)
    lowest = min(scores.values())
    missing = max(count - len(scores), 0)
    total = len(scores) + missing
    mean = (sum(scores.values()) + missing * lowest) / total
    variance = (sum((score - mean) ** 2 for score in scores.values()) + missing * (lowest - mean) ** 2) / total
    deviation = math.sqrt(variance) or 1
    return {entry: (scores.get(entry, lowest) - mean) / deviation for entry in entries}


def reciprocal_ranks(scores, entries):
    order = sorted(scores, key=lambda entry: (scores[entry], entry), reverse=True)
    ranks = {entry: rank for rank, entry in enumerate(order, 1)}
    return {entry: 1 / (60 + ranks[entry]) if entry in ranks else 0 for entry in entries}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN.trec")
    parser.add_argument("--method", choices=["zscore", "rrf"], default="zscore")
    parser.add_argument("--entries", type=int, default=0)
    options = parser.parse_args()
    runs = [read_run(path) for path in options.runs]
    for query in sorted(set().union(*runs)):
        entries = set().union(*(run.get(query, {}) for run in runs))
        parts = [z_scores(run.get(query, {}), entries, options.entries or len(entries)) if options.method == "zscore"
                 else reciprocal_ranks(run.get(query, {}), entries) for run in runs]
        sums = {entry: sum(part[entry] for part in parts) for entry in entries}
        for rank, entry in enumerate(sorted(sums, key=lambda item: (sums[item], item), reverse=True), 1):
            print(query, "Q0", entry, rank, repr(sums[entry]), options.method)


if __name__ == "__main__":
    main()
