"""Reading the best text again, with the question before it.

What far memory has of a text was computed without the question, and only the memory layers see it. So the answer is written by
a document of its own, where every layer sees the text and every token of the text has seen the question:

    <s> Question: {question} \\n {text} \\n Question: {question} \\n Answer: {answer} \\n

of READ_BLOCKS blocks at most, so that all of it is near. An empty answer says that the text does not answer the question.
"""
import numpy as np
import torch

from . import tasks
from .model import with_landmarks
from .pack import BLOCK
from .query import up_to_end
from .teacher import padded
from .tokenizer import BOS, EOS, NEWLINE, prompt_ids

READ_BLOCKS = 4
QUESTION = 40       # tokens of a question that are read, "Question:" and "Answer:" included
ANSWER = 16         # room for the answer and its newline
UNANSWERED = 0.2    # of the documents made for training: another text of the same source
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
    index = int(rng.integers(len(maker.questions)))
    record = maker.retold(rng, maker.questions[index]) or maker.questions[index]
    asked = record["qas"][rng.integers(len(record["qas"]))]
    found = locate(maker, record["text"], asked["answers"])
    if found is None:
        return None
    question = prompt_ids(maker.encode, maker.as_asked(rng, asked["question"]), QUESTION)
    answer, first, last = found
    texts = [maker.questions[(index + step) % len(maker.questions)]["text"] for step in (-1, 0, 1)]
    texts[1] = record["text"]
    if rng.random() < UNANSWERED:
        texts = [maker.questions[(index + step) % len(maker.questions)]["text"] for step in (2, 3, 4)]
        if any(gold.lower() in text.lower() for gold in asked["answers"] for text in texts):
            return None
        answer, first, last = [], 0, 0
    before, text, behind = map(maker.encode, texts)
    if rng.random() >= LONELY:
        first, last = first + len(before) + 1, last + len(before) + 1
        text = before + [NEWLINE] + text + [NEWLINE] + behind
    size = room(question)
    start = window(len(text), first, last, size, rng.random())
    return document(question, text[start:start + size]), answer + [NEWLINE]


def locate(maker, text, answers):
    """The first answer that is short enough -> (ids, its first and last token in the text, all of the text where it does not
    stand there), or None"""
    for answer in answers:
        ids = maker.encode(answer)
        if len(ids) >= maker.step.answer:
            continue
        at = text.find(answer)
        if at < 0:
            return ids, 0, 0
        first = len(maker.encode(text[:at]))
        return ids, max(0, first - 1), first + len(ids)
    return None


# ---------------------------------------------------------------- to answer


@torch.no_grad()
def read(model, documents, dtype, batch=128):
    """Greedy answers to documents, ids each. -> [(ids, sum of the log-probabilities of these and of the end)]; no ids: the
    text does not answer"""
    out = []
    for first in range(0, len(documents), batch):
        part = documents[first:first + batch]
        ids = torch.from_numpy(padded(part, READ_BLOCKS * BLOCK).astype(np.int64)).to(model.embedding.device)
        begins = torch.tensor([len(one) for one in part], device=ids.device)
        each, length, sums = torch.arange(len(part), device=ids.device), begins.clone(), torch.zeros(len(part), device=ids.device)
        one_document = torch.zeros(len(part), READ_BLOCKS, dtype=torch.int64, device=ids.device)
        ended = torch.zeros_like(each, dtype=torch.bool)
        for _ in range(ANSWER):
            h, _ = model.run_documents(with_landmarks(ids.unflatten(1, (-1, BLOCK)), model.shape.landmark), one_document, dtype)
            best, token = model.logits(h[each, row_of(length - 1)]).float().log_softmax(-1).max(-1)
            sums += torch.where(ended, 0, best)
            ids[each, length] = token
            ended |= (token == NEWLINE) | (token == EOS)
            if ended.all():
                break
            length = (length + 1).clamp(max=begins + ANSWER - 1)
        out += [(up_to_end(row[begin:begin + ANSWER]), total)
                for row, begin, total in zip(ids.tolist(), begins.tolist(), sums.tolist())]
    return out
