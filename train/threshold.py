"""Fits the confidence from which on an answer counts as supported (landmark.answer.threshold of a model file).

    lmk eval qa --corpus FILE --questions FILE --unanswerable --json >ANSWERS
    python3 -m train.threshold --answers ANSWERS... [--most 0.05] [--model FILE [--out FILE]]

The threshold is the lowest with which at most the share --most of the questions whose right passages were taken away gets
an answer. What it does to other questions is shown too: each FOLDS-th part judged by the threshold of the rest. `make
train-threshold` runs all of it. The model's tensors stay as they are, and so do collections made with it.
"""
import argparse
import json

import numpy as np

from . import gguf

FOLDS = 5
KEY = "landmark.answer.threshold"


def read_answers(paths):
    """-> confidences of the answerable questions and whether they were answered rightly, confidences of the unanswerable
    ones. Where nothing was written a confidence is -1, below any threshold."""
    answerable, right, unanswerable = [], [], []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            answers = json.load(file)["answers"]
        assert "unanswerable" in answers, f"{path} was made without --unanswerable"
        known, unknown = ([-1 if a["confidence"] is None else a["confidence"] for a in answers[kind]]
                          for kind in ("answerable", "unanswerable"))
        answerable += known
        right += [a["right"] for a in answers["answerable"]]
        unanswerable += unknown
    return np.array(answerable), np.array(right, bool), np.array(unanswerable)


def fit(unanswerable, most):
    """The lowest threshold, a number of 32 bits, that at most the share `most` reaches; 1 where too many are quite sure."""
    falling = np.sort(unanswerable)[::-1]
    allowed = int(most * len(falling))
    if allowed >= len(falling):
        return 0.0
    above = np.nextafter(np.float32(max(falling[allowed], 0)), np.float32(2))
    return float(min(above, np.float32(1)))


def shares(threshold, answerable, right, unanswerable):
    """-> shares answered rightly and wrongly of the answerable, and answered of the unanswerable"""
    found = answerable >= threshold
    return (found & right).mean(), (found & ~right).mean(), (unanswerable >= threshold).mean()


def held_out(answerable, right, unanswerable, most):
    """Shares where each part's threshold is fitted on the others."""
    part = np.arange(len(unanswerable)) % FOLDS
    thresholds = np.array([fit(unanswerable[part != fold], most) for fold in range(FOLDS)])
    return shares(thresholds[part], answerable, right, unanswerable)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--answers", nargs="+", required=True, help="what lmk eval qa --unanswerable --json printed")
    parser.add_argument("--most", type=float, default=0.05, help="share of unanswerable questions that may be answered")
    parser.add_argument("--model", help="file to write the threshold into; without it it is only shown")
    parser.add_argument("--out", help="another file for the model with the threshold")
    options = parser.parse_args()
    answers = read_answers(options.answers)
    threshold = fit(answers[2], options.most)
    print(f"{len(answers[0])} questions, threshold {threshold:.4f}\n{'':12}{'right':>8}{'wrong':>8}{'unanswerable answered':>24}")
    for name, values in (("no threshold", shares(0, *answers)), ("in sample", shares(threshold, *answers)),
                         ("held out", held_out(*answers, options.most))):
        print(f"{name:12}{values[0]:8.3f}{values[1]:8.3f}{values[2]:24.3f}")
    if options.model:
        gguf.set_keys(options.model, options.out or options.model, [(KEY, gguf.FLOAT32, threshold)])
        print(f"threshold written to {options.out or options.model}")


if __name__ == "__main__":
    main()
