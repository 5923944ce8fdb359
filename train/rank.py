"""Fits the weights of the ranking (landmark.rank.* of a model file) on development questions.

    python3 -m train.rank convert --qa FILE --out FOLDER [--limit N]
    python3 -m train.rank texts --data FOLDER --out FOLDER
    lmk index -c NAME.lmk TEXTS
    lmk search -c NAME.lmk --queries DATA/queries.jsonl --features --top 1 >FEATURES
    lmk list -c NAME.lmk --json >DOCUMENTS
    python3 -m train.rank fit --data FOLDER... --features FILE... --documents FILE... --model FILE [--out FILE]

`convert` makes a data set in BEIR's form (corpus.jsonl, queries.jsonl, qrels.tsv) of question passages, `texts` a text
file for each of its passages; a collection that was made of corpus.jsonl itself does as well. `make train-rank` runs all
of it. The model's tensors stay as they are, and so do collections made with it.

The fit is a conditional logistic regression: the probability of a candidate block among the candidates of its question is
the softmax of the weighted sum of its features, and the likelihood of a question that of all blocks of its right
documents together. The features are the two z-scores, BM25 of the block together with its neighbours, and for each memory layer
and head the block's head score less the mean over the candidates. The penalty on the heads' squared weights (as of features of deviation 1) is the one of the
likeliest held-out questions. Questions are held out by the title of what they are about, in FOLDS parts.
"""
import argparse
import os
import urllib.parse
import zlib

import numpy as np

from . import gguf
from .json_lines import each_line, read_lines, write_lines

FOLDS = 5
PENALTIES = (1, 1e-1, 1e-2, 1e-3)
LANDMARK, LEXICAL, NEIGHBOURHOOD, HEADS = 0, 1, 2, 3  # columns of the features; heads are all from HEADS on


# ---- data sets

def convert(options):
    """Question passages (`_id`, `title`, `passage`, `qas`: `question`) in BEIR's form; the first questions of each passage
    in turn, up to the limit."""
    passages = read_lines(options.qa)
    os.makedirs(options.out, exist_ok=True)
    questions = [(turn, place, qa["question"]) for place, record in enumerate(passages)
                 for turn, qa in enumerate(record["qas"])]
    questions = sorted(questions)[:options.limit]
    write_lines(f"{options.out}/corpus.jsonl",
                ({"_id": p["_id"], "title": p["title"], "text": p["passage"]} for p in passages))
    write_lines(f"{options.out}/queries.jsonl",
                ({"_id": str(number), "text": text} for number, (_, _, text) in enumerate(questions)))
    with open(f"{options.out}/qrels.tsv", "w", encoding="utf-8") as out:
        out.write("query-id\tcorpus-id\tscore\n")
        out.writelines(f"{number}\t{passages[place]['_id']}\t1\n" for number, (_, place, _) in enumerate(questions))


def texts(options):
    """A file for each passage, named by its id."""
    os.makedirs(options.out, exist_ok=True)
    for record in read_lines(f"{options.data}/corpus.jsonl"):
        name = urllib.parse.quote(record["_id"], safe="")
        with open(f"{options.out}/{name}.txt", "w", encoding="utf-8") as out:
            out.write(f"{record['title']}\n\n{record['text']}\n" if record.get("title") else f"{record['text']}\n")


def passage_id(path, ids):
    """The id in `ids` that a document's path ends with, or None: a file of `texts`, or FILE/ID."""
    name = urllib.parse.unquote(os.path.basename(path).removesuffix(".txt"))
    if name in ids:
        return name
    parts = path.split("/")
    return next((ending for ending in ("/".join(parts[i:]) for i in range(len(parts))) if ending in ids), None)


def read_judgements(path):
    """-> {question id: set of passage ids}"""
    right = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            question, passage, score = line.rstrip("\n").split("\t")
            if score != "score" and float(score) > 0:
                right.setdefault(question, set()).add(passage)
    return right


# ---- features

class Question:
    """features [C, 3 + heads]; documents [C]; right [C]: the block is of a right document; landmark [C]: the landmarks'
    candidates alone; group: what it is about."""

    def __init__(self, features, documents, right, landmark, group):
        self.features, self.documents, self.right, self.landmark, self.group = features, documents, right, landmark, group


def head_features(candidates):
    """[C, heads], each less its mean; blocks without keys count as the mean"""
    width = max((len(c["heads"]) for c in candidates if c["heads"]), default=0)
    out = np.zeros((len(candidates), width))
    known = np.array([c["heads"] is not None for c in candidates])
    if known.any():
        values = np.array([c["heads"] for c in candidates if c["heads"] is not None])
        out[known] = values - values.mean(0)
    return out


def best_landmarks(candidates, count):
    """True for the `count` best by landmark score."""
    scores = np.array([-np.inf if c["landmark"] is None else c["landmark"] for c in candidates])
    best = np.zeros(len(candidates), bool)
    best[np.argsort(-scores, kind="stable")[:count]] = True
    return best & np.isfinite(scores)


def read_questions(data, features, documents, candidates):
    """-> list of Question: those of queries that have a right document"""
    corpus = {record["_id"]: record.get("title") or record["_id"] for record in read_lines(f"{data}/corpus.jsonl")}
    right = read_judgements(f"{data}/qrels.tsv")
    ids = {record["id"]: passage_id(record["path"], corpus) for record in read_lines(documents)}
    out = []
    for result in each_line(features):
        wanted = right.get(str(result["id"]), set())
        found = result.get("candidates", [])
        if not wanted:
            continue
        names = [ids[c["document"]] for c in found]
        scores = np.array([[c["landmark_z"], c["lexical_z"], c["neighbourhood"]] for c in found]).reshape(-1, HEADS)
        out.append(Question(np.hstack((scores, head_features(found))), np.array([c["document"] for c in found]),
                            np.array([name in wanted for name in names], bool), best_landmarks(found, candidates),
                            corpus[min(wanted)]))
    assert out, f"{features} has no question of {data}/qrels.tsv"
    width = max(question.features.shape[1] for question in out)
    for question in out:  # without candidates, or all of them without keys
        missing = width - question.features.shape[1]
        question.features = np.pad(question.features, ((0, 0), (0, missing)))
    return out


# ---- fitting

class Stack:
    """The candidates of many questions one below the other, for those that can teach: some right and some wrong. Of the
    features, those of heads are penalised."""

    def __init__(self, questions, columns, landmark_only):
        self.penalised = np.array([column >= HEADS for column in columns])
        kept = [(q.features[s][:, columns], q.right[s]) for q in questions
                for s in [q.landmark if landmark_only else slice(None)] if q.right[s].any() and not q.right[s].all()]
        assert kept, "a fifth of the questions has no right document among the candidates: give more questions"
        self.features = np.vstack([features for features, _ in kept])
        self.right = np.concatenate([right for _, right in kept])
        self.sizes = np.array([len(right) for _, right in kept])
        self.starts = np.concatenate(([0], np.cumsum(self.sizes)[:-1]))

    def softmax(self, scores):
        """-> probabilities within each question, logarithms of the sums"""
        largest = np.maximum.reduceat(scores, self.starts)
        powers = np.exp(scores - np.repeat(largest, self.sizes))
        sums = np.add.reduceat(powers, self.starts)
        return powers / np.repeat(sums, self.sizes), largest + np.log(sums)

    def likelihood(self, weights):
        """Mean logarithm of the probability of the right documents, and what its slope is made of."""
        scores = self.features @ weights
        every, every_sum = self.softmax(scores)
        right, right_sum = self.softmax(np.where(self.right, scores, -np.inf))
        return (right_sum - every_sum).mean(), right, every

    def step(self, right, every):
        """Slope of the likelihood, and the curvature of its concave part."""
        count = len(self.sizes)
        slope = (right - every) @ self.features / count
        means = np.add.reduceat(every[:, None] * self.features, self.starts)
        curvature = (self.features * every[:, None]).T @ self.features / count - means.T @ means / count
        return slope, curvature


def deviations(stack):
    """Of the features from their means by question."""
    means = np.add.reduceat(stack.features, stack.starts) / stack.sizes[:, None]
    spread = np.sqrt(((stack.features - np.repeat(means, stack.sizes, 0)) ** 2).mean(0))
    return np.where(spread > 0, spread, 1)


def fit(stack, penalty, weights=None, rounds=100):
    """Newton steps from the weights given, halved until they help, as long as they help. -> weights of the features as
    they are"""
    cost = penalty / 2 * stack.penalised * deviations(stack) ** 2
    weights = np.zeros(stack.features.shape[1]) if weights is None else weights
    likelihood, right, every = stack.likelihood(weights)
    value = likelihood - cost @ weights ** 2
    for _ in range(rounds):
        slope, curvature = stack.step(right, every)
        move = np.linalg.solve(curvature + np.diag(2 * cost + 1e-12), slope - 2 * cost * weights)
        before = value
        for _ in range(20):
            likelihood, right, every = stack.likelihood(weights + move)
            value = likelihood - cost @ (weights + move) ** 2
            if value > before:
                break
            move /= 2
        else:
            break
        weights = weights + move
        if value < before + 1e-7:
            break
    return weights


def fold_of(question):
    return zlib.crc32(question.group.encode()) % FOLDS


def fit_all(stack):
    """-> weights for each of PENALTIES, each fit beginning where the one before ended"""
    out = []
    for penalty in PENALTIES:
        out.append(fit(stack, penalty, out[-1] if out else None))
    return out


class Fit:
    """Weights of some columns: fitted on all questions, and without each fold. The penalty is the one whose weights give the
    questions of the folds left out the largest likelihood."""

    def __init__(self, questions, columns, landmark_only=False):
        self.columns, self.landmark_only = columns, landmark_only
        folds, likelihoods = [], np.zeros(len(PENALTIES))
        for fold in range(FOLDS):
            inside = Stack([q for q in questions if fold_of(q) != fold], columns, landmark_only)
            outside = Stack([q for q in questions if fold_of(q) == fold], columns, landmark_only)
            folds.append(fit_all(inside))
            likelihoods += [outside.likelihood(weights)[0] * len(outside.sizes) for weights in folds[-1]]
        best = int(np.argmax(likelihoods))
        every = Stack(questions, columns, landmark_only)
        self.penalty, self.likelihood = PENALTIES[best], likelihoods[best] / len(every.sizes)
        self.folds = [weights[best] for weights in folds]
        self.weights = fit(every, self.penalty, np.mean(self.folds, 0))


# ---- measures

def rank_of(question, scores):
    """Place of the best right document among the documents, by their best blocks; None: it is no candidate."""
    order = np.argsort(-scores, kind="stable")
    seen = set()
    for at in order[np.isfinite(scores[order])]:
        if question.right[at]:
            return len(seen) + 1
        seen.add(question.documents[at])
    return None


def measure(questions, scores_of):
    """-> R@1, mean reciprocal rank"""
    ranks = [rank_of(q, scores_of(q)) for q in questions]
    return sum(r == 1 for r in ranks) / len(ranks), sum(1 / r for r in ranks if r) / len(ranks)


def fixed(weights):
    """Scores by given weights of the features before the heads."""
    return lambda question: question.features[:, :HEADS] @ weights


def fitted(fit_, held_out):
    def scores(question):
        weights = fit_.folds[fold_of(question)] if held_out else fit_.weights
        found = question.features[:, fit_.columns] @ weights
        return np.where(question.landmark, found, -np.inf) if fit_.landmark_only else found
    return scores


def table(questions, fits):
    """-> [(name, in-sample R@1, MRR, held-out R@1, MRR)]"""
    rows = [(name, *measure(questions, fixed(np.array(weights))) * 2)
            for name, weights in (("landmark", [1, 0, 0]), ("lexical", [0, 1, 0]), ("sum", [1, 1, 0]))]
    for name, found in fits.items():
        rows.append((name, *measure(questions, fitted(found, False)), *measure(questions, fitted(found, True))))
    return rows


def show(title, questions, rows):
    reached = sum(q.right.any() for q in questions)
    print(f"{title}: {len(questions)} questions, {reached} with a right block among the candidates")
    print(f"{'':22}{'in sample':>16}{'held out':>18}\n{'':22}{'R@1':>8}{'MRR':>8}{'R@1':>10}{'MRR':>8}")
    for name, *values in rows:
        print(f"{name:22}{values[0]:8.3f}{values[1]:8.3f}{values[2]:10.3f}{values[3]:8.3f}")
    print()


def make_fits(questions):
    width = questions[0].features.shape[1]
    heads = list(range(HEADS, width))
    sides = [LANDMARK, LEXICAL, NEIGHBOURHOOD]
    return {"without neighbours": Fit(questions, [LANDMARK, LEXICAL]), "weighted sum": Fit(questions, sides),
            "all": Fit(questions, sides + heads), "landmark + attention": Fit(questions, [LANDMARK] + heads, landmark_only=True)}


KEYS = ["landmark.rank." + name for name in ("landmark", "lexical", "neighbourhood", "attention", "landmark_alone", "attention_landmark")]


def keys_of(fits, questions):
    """Keys as gguf.write takes them. Exact attention costs time with every search, so its weights are there only where it
    raises the mean reciprocal rank of held-out questions."""
    def held_out(name):
        return measure(questions, fitted(fits[name], True))[1]

    landmark, lexical, neighbourhood, attention, alone, attention_alone = KEYS
    numbers = (gguf.ARRAY, gguf.FLOAT32)
    best = max(("weighted sum", "all"), key=held_out)
    weights = fits[best].weights.tolist()
    keys = [(key, gguf.FLOAT32, weight) for key, weight in zip((landmark, lexical, neighbourhood), weights)]
    if best == "all":
        keys.append((attention, numbers, weights[HEADS:]))
    if held_out("landmark + attention") > measure(questions, fixed(np.array([1, 0, 0])))[1]:
        weights = fits["landmark + attention"].weights.tolist()
        keys += [(alone, gguf.FLOAT32, weights[0]), (attention_alone, numbers, weights[1:])]
    return keys


def fit_files(options):
    sets = [read_questions(*names, options.candidates)
            for names in zip(options.data, options.features, options.documents)]
    questions = [question for one in sets for question in one]
    fits = make_fits(questions)
    for name, found in fits.items():
        print(f"{name}: penalty {found.penalty:g}, held-out log-likelihood {found.likelihood:.4f}, weights "
              + " ".join(f"{w:.3f}" for w in found.weights))
    print()
    for name, one in zip(options.data, sets):
        show(name, one, table(one, fits))
    if len(sets) > 1:
        show("all sets", questions, table(questions, fits))
    if options.model:
        gguf.set_keys(options.model, options.out or options.model, keys_of(fits, questions), drop=KEYS)
        print(f"weights written to {options.out or options.model}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("convert")
    command.add_argument("--qa", required=True)
    command.add_argument("--out", required=True)
    command.add_argument("--limit", type=int)
    command.set_defaults(run=convert)
    command = commands.add_parser("texts")
    command.add_argument("--data", required=True)
    command.add_argument("--out", required=True)
    command.set_defaults(run=texts)
    command = commands.add_parser("fit")
    for name in ("--data", "--features", "--documents"):
        command.add_argument(name, nargs="+", required=True)
    command.add_argument("--model", help="file to write the weights into; without it they are only shown")
    command.add_argument("--out", help="another file for the model with the weights")
    command.add_argument("--candidates", type=int, default=200, help="that mode landmark ranks")
    command.set_defaults(run=fit_files)
    options = parser.parse_args()
    if options.run is fit_files and not len(options.data) == len(options.features) == len(options.documents):
        parser.error("give as many --features and --documents as --data")
    options.run(options)


if __name__ == "__main__":
    main()
