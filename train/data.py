"""Contexts and prompts of a training step, made by worker processes.

A step has three sorts of contexts of N blocks, in this order, with P prompts each:

    natural     N blocks in a row of the packed documents; prompts made from the text by rule
    questions   passages with their real questions, packed one after another or each as its own document
    synthetic   natural text with facts, pass keys and repeated spans written into it (tasks.py)

Every prompt names the blocks that answer it, as a bit mask over its context's blocks.
"""
import dataclasses
import glob
import json
import os
import pathlib

import numpy as np

from . import reread, tasks
from .json_lines import read_lines
from .pack import BLOCK
from .substitute import Substitutes, openings
from .teacher import INSTRUCTION, WordPiece, padded
from .tokenizer import BOS, NEWLINE, load

BLOCK_PIECES = 96  # word pieces of a block that the teacher reads
QUERY_PIECES = 48
OCCURRENCES = 4    # of an answer that are pointed at
OTHER_NAMES = 0.3  # of the names in the questions of a retold passage
KINDS = ("question", "retold", "cloze", "quote", "fact", "pass key", "span", "keywords", "asked")


@dataclasses.dataclass(frozen=True)
class StepShape:
    """How much is in a step."""
    natural: int = 52
    questions: int = 16
    synthetic: int = 12
    blocks: int = 32        # of a context
    prompts: int = 8        # of a context
    prompt_rows: int = 48   # prompt and answer
    answer: int = 12        # tokens of an answer at most
    answered: float = 1.0   # share of the real questions whose answers are learnt; seen too often, they are known by heart
    confusable: float = 0.0  # share of the contexts of passages with questions that hold passages easily taken for each other
    retold: float = 0.0     # share of the passages with questions that come with other answers (substitute.py), which are learnt
    stream: int = 48        # supervised positions inside a synthetic context
    reread: int = 0         # contexts of documents that read a text again with its question (reread.py)

    @property
    def contexts(self):
        return self.natural + self.questions + self.synthetic


class Part:
    """A part of the packed documents; contexts are `size` blocks in a row."""

    def __init__(self, path, size):
        self.blocks = np.load(path, mmap_mode="r")
        self.starts = np.load(path.replace(".blocks.", ".starts."))
        self.size = size
        self.contexts = len(self.blocks) // size

    def context(self, index):
        """-> (tokens [N, 63], document of each block [N])"""
        first = index * self.size
        documents = np.searchsorted(self.starts, np.arange(first, first + self.size), "right")
        return np.array(self.blocks[first:first + self.size]), documents - documents[0]


def find_parts(folder, size):
    """Parts whose both files are there, by name."""
    names = sorted(glob.glob(f"{folder}/*.blocks.npy"))
    return [Part(name, size) for name in names if os.path.exists(name.replace(".blocks.", ".starts."))]


@dataclasses.dataclass
class Prompt:
    """ids: prompt, without the answer; answer: ids or []; read, find: bit masks of the blocks that hold the answer,
    and that count as found; text: what the teacher embeds, "" if nothing; near: only its own context is searched;
    closed: a newline is expected after the answer."""
    kind: str
    ids: list
    answer: list
    read: int
    find: int
    text: str = ""
    near: bool = False
    closed: bool = True


class Maker:
    """Makes batches; one in each worker process."""

    def __init__(self, folder, tokenizer_path, pieces_path, questions_path, synonyms_path, step, titled_share=0.5):
        self.step, self.folder = step, folder
        self.tokenizer = load(tokenizer_path)
        self.encode = self.tokenizer.encode
        self.pieces = WordPiece(pieces_path) if pieces_path else None
        self.questions = read_lines(questions_path) if questions_path else []
        self.substitutes, self.openings = Substitutes(self.questions), openings(self.questions)
        self.synonyms = json.loads(pathlib.Path(synonyms_path).read_text(encoding="utf-8")) if synonyms_path else {}
        self.titled_share = titled_share
        self.parts = []
        pieces = [self.tokenizer.id_to_piece(i) for i in range(self.tokenizer.vocab_size())]
        self.starts_word = np.array([piece.startswith("▁") and len(piece) > 1 for piece in pieces])
        self.question, self.answer = self.encode("Question:"), [NEWLINE] + self.encode("Answer:")

    # ------------------------------------------------------------ text

    def decode(self, ids):
        """Text of ids from the middle of a document; padding and BOS give nothing."""
        return self.tokenizer.decode([NEWLINE] + [int(i) for i in ids if i > 4])[1:]

    def prompt_ids(self, text):
        return self.encode("Question: " + text) + self.answer

    def block_pieces(self, tokens):
        """tokens [n, 63] -> word pieces [n, BLOCK_PIECES]"""
        return padded([self.pieces.encode(self.decode(row), BLOCK_PIECES) for row in tokens], BLOCK_PIECES)

    # ------------------------------------------------------------ contexts

    def part(self, index):
        if index >= len(self.parts):
            self.parts = find_parts(self.folder, self.step.blocks)
        return self.parts[index]

    def natural(self, rng, part, index):
        tokens, documents = self.part(part).context(index)
        return tokens, documents, tasks.natural_prompts(self, rng, tokens)

    def question_context(self, rng):
        """Passages packed into N blocks -> (tokens, documents, prompts)."""
        chosen = self._passages(rng)
        tokens = np.zeros((self.step.blocks, BLOCK), np.uint16)
        documents = np.zeros(self.step.blocks, np.int64)
        flat, at, used = tokens.reshape(-1), 0, []
        apart = rng.random() < 0.5
        for number, record in enumerate(chosen):
            retold = self.retold(rng, record)
            record = retold or record
            titled = apart and record["title"]
            head = self.encode(record["title"]) + [NEWLINE] if titled else []
            if apart or at == 0:
                head = [BOS] + head
            body = self.encode(record["text"])
            ids = (head + body + ([] if apart else [NEWLINE]))[:len(flat) - at]
            flat[at:at + len(ids)] = ids
            documents[at // BLOCK:] = number if apart else 0
            if len(ids) >= len(head) + len(body):
                used.append((record, at + len(head), len(body), retold is not None))
            at += len(ids)
            if apart:
                at = -(-at // BLOCK) * BLOCK
            if at >= len(flat):
                break
        return tokens, documents, self._questions(rng, used)

    def retold(self, rng, record):
        """The record with other answers, for a share of them; None for the rest, and where that cannot be."""
        return self.substitutes.retold(rng, record, OTHER_NAMES) if rng.random() < self.step.retold else None

    def as_asked(self, rng, question):
        """A question as some of many people might put it: the same few questions come again and again."""
        if rng.random() >= 0.3:
            return question
        return " ".join(tasks.reworded(rng, tasks.noised(rng, question.split(), 0.08), self.synonyms, 0.3))

    def _passages(self, rng):
        """Passages that are easily taken for each other, neighbours of one source, or any."""
        count, wanted = len(self.questions), 3 * self.step.blocks
        if rng.random() < self.step.confusable:
            return [self.questions[i] for i in self._confusable(rng, wanted)]
        if rng.random() < 0.5:
            first = rng.integers(count)
            return [self.questions[(first + i) % count] for i in range(wanted)]
        return [self.questions[i] for i in rng.integers(count, size=wanted)]

    def _confusable(self, rng, count):
        """Numbers of `count` passages, each followed by those that one of its questions may be taken to ask about; none twice."""
        chosen = {}
        for number in rng.integers(len(self.questions), size=count).tolist():
            asked = self.questions[number]["qas"]
            chosen.update(dict.fromkeys([number] + asked[rng.integers(len(asked))].get("confusable", [])))
        return list(chosen)

    def _questions(self, rng, used):
        """used: (record, first token, tokens, whether it is retold) of each passage -> prompts"""
        prompts = []
        order = [i for _ in range(4) for i in rng.permutation(len(used))]
        for index in order:
            if len(prompts) == self.step.prompts:
                break
            record, first, length, retold = used[index]
            asked = record["qas"][rng.integers(len(record["qas"]))]
            ids = self.prompt_ids(self.as_asked(rng, asked["question"]))
            if len(ids) > self.step.prompt_rows - 2:
                continue
            find = tasks.bits(range(first // BLOCK, (first + length - 1) // BLOCK + 1))
            answer, read = [], 0
            if retold or rng.random() < self.step.answered:
                answer, read = self._answer(record["text"], asked["answers"], first)
            if len(ids) + len(answer) + 1 > self.step.prompt_rows:
                answer, read = [], 0
            prompts.append(Prompt("retold" if retold else "question", ids, answer, read, find, asked["question"]))
        return prompts

    def _answer(self, text, answers, first):
        """-> (ids of a short answer or [], blocks of its occurrences in the passage that begins at token `first`)"""
        answer, ids = self.short_answer(answers)
        if not ids:
            return [], 0
        read, at, seen = 0, text.find(answer), 0
        while at >= 0 and seen < 4:
            start = first + len(self.encode(text[:at]))
            read |= tasks.bits({start // BLOCK, (start + len(ids) - 1) // BLOCK})
            at, seen = text.find(answer, at + 1), seen + 1
        return ids, read if at < 0 and len(answer) > 3 else 0

    def short_answer(self, answers):
        """The first that is short enough to be learnt -> (answer, ids), or ("", [])"""
        made = ((answer, self.encode(answer)) for answer in answers)
        return next((pair for pair in made if len(pair[1]) < self.step.answer), ("", []))

    # ------------------------------------------------------------ batches

    def batch(self, seed, contexts):
        """contexts: [(part, index, whether the teacher needs its word pieces)] of the natural ones."""
        rng = np.random.default_rng(seed)
        step = self.step
        made, stream, new = [], [], []
        for part, index, fresh in contexts[:step.natural]:
            made.append(self.natural(rng, part, index))
            if fresh:
                new.append(made[-1][0])
        for _ in range(step.questions):
            made.append(self.question_context(rng))
        for part, index, _ in contexts[step.natural:]:
            tokens, _ = self.part(part).context(index)
            tokens, prompts, positions = tasks.synthetic(self, rng, tokens)
            made.append((tokens, np.zeros(step.blocks, np.int64), prompts))
            stream.append(positions)
        out = self.arrays(rng, made)
        out.update(self.stream_arrays(stream))
        out.update(self.reread_arrays([reread.context(self, rng) for _ in range(step.reread)]))
        if self.pieces:
            new += [tokens for tokens, _, _ in made[step.natural:step.natural + step.questions]]
            out["block_pieces"] = self.block_pieces(np.concatenate(new)) if new else None
            out["query_pieces"] = padded([self.pieces.encode(INSTRUCTION + p.text, QUERY_PIECES) if p else []
                                          for p in self.in_order(made)], QUERY_PIECES)
        return out

    def in_order(self, made):
        """All prompts, B * P of them; None where a context has too few."""
        return [prompts[i] if i < len(prompts) else None for _, _, prompts in made for i in range(self.step.prompts)]

    def arrays(self, rng, made):
        step, prompts = self.step, self.in_order(made)
        tokens = np.stack([m[0] for m in made])
        count = len(prompts)
        out = {"tokens": tokens, "documents": np.stack([m[1] for m in made]).astype(np.int32),
               "prompts": np.zeros((count, step.prompt_rows), np.uint16), "prompt_length": np.ones(count, np.int64),
               "answer_length": np.zeros(count, np.int64), "closed": np.zeros(count, bool), "near": np.zeros(count, bool),
               "kind": np.full(count, -1, np.int64), "points": np.full((count, OCCURRENCES), -1, np.int64)}
        masks = np.zeros((count, 3, step.blocks), bool)   # read, find, visible
        filled = (tokens != 0).any(-1)
        for i, prompt in enumerate(prompts):
            masks[i, 2] = filled[i // step.prompts]
            if prompt is None:
                continue
            answer = list(prompt.answer) + ([NEWLINE] if prompt.answer and prompt.closed else [])
            ids = list(prompt.ids) + answer
            out["prompts"][i, :len(ids)] = ids
            out["prompt_length"][i], out["answer_length"][i] = len(prompt.ids), len(answer)
            out["closed"][i], out["near"][i], out["kind"][i] = prompt.closed, prompt.near, KINDS.index(prompt.kind)
            points = occurrences(tokens[i // step.prompts], prompt.answer, prompt.read)
            out["points"][i, :len(points)] = points
            masks[i, 0], masks[i, 1] = tasks.unpack(prompt.read, step.blocks), tasks.unpack(prompt.find, step.blocks)
            if rng.random() < 0.5:  # as the engine does: a few blocks only
                others = rng.permutation(np.flatnonzero(masks[i, 2] & ~masks[i, 0]))[max(0, 8 - masks[i, 0].sum()):]
                masks[i, 2, others] = False
        out["read"], out["find"], out["visible"] = masks[:, 0], masks[:, 1], masks[:, 2]
        return out

    def stream_arrays(self, stream):
        """Supervised positions inside the synthetic contexts: row that predicts, its gold block; -1 where unused."""
        step = self.step
        at = np.full((max(1, step.synthetic), step.stream), -1, np.int64)
        gold = np.zeros_like(at)
        for row, positions in enumerate(stream):
            for column, (position, block) in enumerate(positions[:step.stream]):
                at[row, column], gold[row, column] = position, block
        return {"stream_at": at, "stream_gold": gold}

    def reread_arrays(self, made):
        """Contexts of reread.context; the rows that predict answers, -1 where unused."""
        if not made:
            return {}
        at = np.full((len(made), max(len(rows) for _, _, rows in made)), -1, np.int64)
        for row, (_, _, rows) in zip(at, made):
            row[:len(rows)] = rows
        return {"reread_tokens": np.stack([tokens for tokens, _, _ in made]),
                "reread_documents": np.stack([documents for _, documents, _ in made]).astype(np.int32), "reread_at": at}


def occurrences(tokens, ids, mask):
    """Where `ids` stand in a context's tokens [N, 63], beginning in a block of the bit mask -> numbers of first tokens in the
    context, OCCURRENCES of them at most"""
    if not ids or not mask:
        return []
    flat = tokens.reshape(-1).astype(np.int64)
    at = np.flatnonzero(flat[:len(flat) - len(ids) + 1] == ids[0])
    for offset, token in enumerate(ids[1:], 1):
        at = at[flat[at + offset] == token]
    return at[tasks.unpack(mask, len(tokens))[at // BLOCK]][:OCCURRENCES]


_maker = None


def start_worker(*arguments):
    global _maker
    _maker = Maker(*arguments)


def make_batch(seed, contexts):
    return _maker.batch(seed, contexts)
