"""Reading the best text again, with the question before it.

What far memory has of a text was computed without the question, and only the memory layers see it. So the answer is written by
a document of its own, where every layer sees the text and every token of the text has seen the question:

    <s> Question: {question} \\n {text} \\n Question: {question} \\n Answer: {answer} \\n

of READ_BLOCKS blocks at most, so that all of it is near. An empty answer says that the text does not answer the question.
"""
import numpy as np
import torch

from . import tasks
from .confusable import holds_answer
from .model import with_landmarks
from .pack import BLOCK
from .query import continued
from .teacher import padded
from .tokenizer import BOS, NEWLINE, prompt_ids

READ_BLOCKS = 4
QUESTION = 40       # tokens of a question that are read, "Question:" and "Answer:" included
ANSWER = 16         # room for the answer and its newline
UNANSWERED = 0.35   # of the documents that are tried for training: a text that does not answer; some answer after all, and go
CONFUSED = 0.6      # of these texts: one that is easily taken for the right one (confusable.py)
NEAR = 0.2          # one close behind the right one in the same source, or where none is easily taken for it; the rest: any
LONELY = 0.3        # of the passages: nothing stands before and behind them


def room(question):
    """Tokens of text that fit beside a question: ids of prompt_ids."""
    return READ_BLOCKS * BLOCK - 2 * len(question) - 2 - ANSWER


def document(question, text):
    """question: ids of prompt_ids, of QUESTION at most; text: ids, of room(question) at most -> ids up to the answer"""
    first = question[:question.index(NEWLINE)]
    return [BOS] + first + [NEWLINE] + list(text) + [NEWLINE] + question


def window(length, first, last, size, share):
    """Where a window of `size` begins in a text of `length` tokens that holds first..last; share: of what is free before it."""
    if length <= size:
        return 0
    low, high = max(0, last + 1 - size), min(first, length - size)
    return low + int(share * (max(low, high) - low + 0.999))


def fill(documents, blocks):
    """Documents, ids each -> (tokens [N, 63], number of the document [N], [row of the first token of each that fits])"""
    tokens, numbers = np.zeros((blocks, BLOCK), np.uint16), np.full(blocks, -1, np.int64)
    flat, at, starts = tokens.reshape(-1), 0, []
    for number, ids in enumerate(documents):
        count = -(-len(ids) // BLOCK)
        if at + count > blocks:
            break
        flat[at * BLOCK:at * BLOCK + len(ids)] = ids
        numbers[at:at + count] = number
        starts.append(at * BLOCK)
        at += count
    return tokens, numbers, starts


def row_of(token):
    """The row of a context's token, landmarks counted."""
    return token + token // BLOCK


# ---------------------------------------------------------------- for training


def context(maker, rng):
    """Documents of real questions that fill a context -> (tokens, documents, rows that predict answers)"""
    made, spent = [], 0
    while spent < maker.step.blocks:
        one = example(maker, rng)
        if one:
            made.append(one)
            spent += -(-sum(map(len, one)) // BLOCK)
    tokens, documents, starts = fill([ids + answer for ids, answer in made], maker.step.blocks)
    rows = [row_of(start + len(ids) - 1 + i) for start, (ids, answer) in zip(starts, made) for i in range(len(answer))]
    return tokens, documents, rows


def example(maker, rng):
    """-> (ids up to the answer, answer with its newline), or None where the drawn question cannot be used"""
    index, unanswered = int(rng.integers(len(maker.questions))), rng.random() < UNANSWERED
    record = maker.questions[index]
    if not unanswered:
        record = maker.retold(rng, record) or record
    asked = record["qas"][rng.integers(len(record["qas"]))]
    found = locate(maker, record["text"], asked["answers"])
    if found is None:
        return None
    question = prompt_ids(maker.encode, maker.as_asked(rng, asked["question"]), QUESTION)
    answer, first, last = found
    middle, lonely = index, rng.random() < LONELY
    if unanswered:
        middle, answer, first, last = another(maker, rng, index, asked), [], 0, 0
    before, text, behind = neighbours(maker, middle - 1)
    if not unanswered:
        text = record["text"]
    elif holds_answer(text if lonely else "\n".join((before, text, behind)), asked["answers"]):
        return None
    text = maker.encode(text)
    if not lonely:
        before = maker.encode(before) + [NEWLINE]
        first, last = first + len(before), last + len(before)
        text = before + text + [NEWLINE] + maker.encode(behind)
    size = room(question)
    start = window(len(text), first, last, size, rng.random())
    return document(question, text[start:start + size]), answer + [NEWLINE]


def another(maker, rng, index, asked):
    """The number of a passage that is to answer nothing, for question `asked` of passage `index`."""
    kind, confusable = rng.random(), asked.get("confusable")
    if kind < CONFUSED and confusable:
        return confusable[rng.integers(len(confusable))]
    return index + 3 if kind < CONFUSED + NEAR else int(rng.integers(len(maker.questions)))


def neighbours(maker, index):
    """The texts of three passages in a row."""
    return (maker.questions[(index + i) % len(maker.questions)]["text"] for i in range(3))


def locate(maker, text, answers):
    """The first answer that is short enough -> (ids, first and last token of the text that it takes, with one more on either
    side; 0, 0 where it does not stand there), or None"""
    answer, ids = maker.short_answer(answers)
    if not ids:
        return None
    at = text.find(answer)
    if at < 0:
        return ids, 0, 0
    first = len(maker.encode(text[:at]))
    return ids, max(0, first - 1), first + len(ids)


# ---------------------------------------------------------------- to answer


def read(model, documents, dtype, batch=128):
    """Greedy answers to documents, ids each. -> [(ids, sum of the log-probabilities of these and of the end)]; no ids: the
    text does not answer"""
    out, device = [], model.embedding.device
    for first in range(0, len(documents), batch):
        part = documents[first:first + batch]
        tokens = torch.from_numpy(padded(part, READ_BLOCKS * BLOCK).astype(np.int64)).to(device)
        each, one_document = torch.arange(len(part), device=device), torch.zeros(len(part), READ_BLOCKS, dtype=torch.int64, device=device)

        def logits(tokens, last):
            rows = with_landmarks(tokens.unflatten(1, (-1, BLOCK)), model.shape.landmark)
            return model.logits(model.run_documents(rows, one_document, dtype)[0][each, row_of(last)])

        out += continued(tokens, torch.tensor([len(one) for one in part], device=device), ANSWER, logits)
    return out
