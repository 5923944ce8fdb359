"""Evaluates a model on held-out material.

    python3 -m train.evaluate --config FILE (--checkpoint FILE | --gguf FILE) --tokenizer MODEL --text FOLDER --parts FOLDER
                              --questions FILE --out FILE.json [--pieces tokenizer.json --teacher MODEL.onnx]
                              [--ask 2000] [--blocks 30000] [--batches 6] [--only NAME ...]

Retrieval: held-out passages packed one after another into contexts of 32 blocks, and each as its own document; a hit is
any block that overlaps the gold passage. Once among these blocks alone, once with further held-out texts (--text) up to
--blocks. Landmarks alone, BM25 on token ids of each block, their z-scored sum, exact attention over that sum's best blocks,
all of them with weights fitted on the questions of other passages, and the teacher on each block alone.

Answers: exact match and F1 of greedy answers to extractive questions, the passage being somewhere in a context of 32
blocks that is read whole, and with 8 blocks retrieved from --blocks. Each from memory, and by reading the text around the best
of these blocks again (reread.py): around the first, and the surest answer of the first AGAIN.

Reading: the tasks of training on held-out contexts (--parts, --questions), teacher-forced by kind, and greedy answers to
real questions (exact match and F1). Language: loss on held-out text with and without memory. Perplexity: of held-out books
through memory (perplexity.py).
"""
import argparse
import dataclasses
import glob
import json
import re
import string
import time
from collections import Counter

import numpy as np
import torch

from . import checkpoint, losses, rank, reread
from .config import load_config
from .data import QUERY_PIECES, KINDS, StepShape
from .feed import Feed
from .json_lines import each_line, read_lines
from .model import with_landmarks
from .pack import BLOCK, document_blocks
from .parallel import Group
from .teacher import INSTRUCTION, Teacher, WordPiece, padded
from .perplexity import perplexity
from .query import answers, as_pool, greedy, prompt_rows, query_vectors
from .tokenizer import BOS, NEWLINE, load, prompt_ids
from .train import Trainer

PARTS = ("reading", "retrieval", "answers", "language", "perplexity")
SOURCES = ("squad-split", "squad-sample", "squad-sentences", "fairytaleqa")
SENTENCES = ("squad-sentences",)    # its answers are the sentences that hold them
CONTEXT = 32
CANDIDATES = 100    # blocks that exact attention ranks
FITTED = 100        # questions that weights are fitted on, at least
FAR_BELOW = -5.0    # z-score of a block without text
READ = 8            # blocks that an answer reads
ANSWER = 16         # tokens of an answer at most
AGAIN = 3           # texts that are read again


# ---------------------------------------------------------------- what is searched


class Collection:
    """Blocks of contexts, and which of them overlap each passage."""

    def __init__(self):
        self.contexts, self.documents, self.spans = [], [], []

    def add(self, tokens, documents):
        """A context of up to 32 blocks -> number of its first block."""
        full = np.zeros((CONTEXT, BLOCK), np.uint16)
        full[:len(tokens)] = tokens
        numbers = np.full(CONTEXT, -1, np.int64)
        numbers[:len(documents)] = documents
        self.contexts.append(full)
        self.documents.append(numbers)
        return (len(self.contexts) - 1) * CONTEXT

    def kept(self):
        """Blocks with text in them [C * 32]."""
        return (np.stack(self.contexts) != 0).any(-1).reshape(-1)


def packed(passages, encode):
    """Passages one after another; a passage that does not fit begins the next context."""
    out, ids, spans = Collection(), [BOS], []

    def close():
        first = out.add(np.array(ids + [0] * (-len(ids) % BLOCK), np.uint16).reshape(-1, BLOCK),
                        np.zeros(-(-len(ids) // BLOCK), np.int64))
        out.spans += [(first + a // BLOCK, first + (b - 1) // BLOCK) for a, b in spans]

    for passage in passages:
        body = encode(passage["text"])[:CONTEXT * BLOCK - 2]
        if len(ids) + len(body) > CONTEXT * BLOCK:
            close()
            ids, spans = [BOS], []
        spans.append((len(ids), len(ids) + len(body)))
        ids += body + [NEWLINE]
        ids = ids[:CONTEXT * BLOCK]
    close()
    return out


def apart(passages, encode):
    """Each passage its own document, its title as first line."""
    out, blocks, numbers, spans = Collection(), [], [], []

    def close():
        first = out.add(np.concatenate(blocks), np.array(numbers))
        out.spans += [(first + a, first + b) for a, b in spans]

    for number, passage in enumerate(passages):
        title = encode(passage["title"]) + [NEWLINE] if passage["title"] else []
        made = document_blocks(title + encode(passage["text"]))[:CONTEXT]
        if len(numbers) + len(made) > CONTEXT:
            close()
            blocks, numbers, spans = [], [], []
        spans.append((len(numbers), len(numbers) + len(made) - 1))
        blocks.append(made)
        numbers += [number] * len(made)
    close()
    return out


def further_texts(folder, encode, blocks):
    """Contexts from other held-out texts, about `blocks` blocks of them -> [(tokens, documents)]"""
    out, count = [], 0
    for name in sorted(glob.glob(f"{folder}/wiki*.dev.jsonl")) + sorted(glob.glob(f"{folder}/books*.dev.jsonl")):
        for record in each_line(name):
            made = document_blocks(encode(record["title"] + "\n" + record["text"]))
            for first in range(0, len(made), CONTEXT):
                if count >= blocks:
                    return out
                out.append((made[first:first + CONTEXT], np.zeros(len(made[first:first + CONTEXT]), np.int64)))
                count += len(out[-1][0])
    return out


# ---------------------------------------------------------------- scores


@torch.no_grad()
def index_collection(trainer, collection, batch=16):
    """Yields (joint landmarks [b * 32, D'], pool of these blocks) of some contexts after another."""
    top = max(trainer.shape.memory_layers)
    for first in range(0, len(collection.contexts), batch):
        tokens = torch.from_numpy(np.stack(collection.contexts[first:first + batch]).astype(np.int64)).to(trainer.device)
        documents = torch.from_numpy(np.stack(collection.documents[first:first + batch])).to(trainer.device)
        rows = with_landmarks(tokens, trainer.shape.landmark)
        _, memory = trainer.model.run_documents(rows, documents, trainer.dtype, top)
        yield trainer.model.landmark_keys(memory).flatten(2).flatten(0, 1), as_pool(memory, trainer.shape.rows)


def bm25_scores(blocks, queries, k1=1.2, b=0.75):
    """blocks uint16 [N, 63], 0 is padding; queries: lists of ids -> float32 [Q, N]"""
    count = len(blocks)
    tokens = blocks.reshape(-1).astype(np.int64)
    owner = np.repeat(np.arange(count), BLOCK)[tokens > 5]
    tokens = tokens[tokens > 5]
    length = np.bincount(owner, minlength=count)
    pair, frequency = np.unique(tokens * count + owner, return_counts=True)
    token, owner = pair // count, pair % count
    first = np.searchsorted(token, np.arange(65537))
    weight = frequency * (k1 + 1) / (frequency + k1 * (1 - b + b * length[owner] / length.mean()))
    out = np.zeros((len(queries), count), np.float32)
    for row, ids in zip(out, queries):
        for t in set(ids):
            here = slice(first[t], first[t + 1])
            found = here.stop - here.start
            row[owner[here]] += np.log(1 + (count - found + 0.5) / (found + 0.5)) * weight[here]
    return out


def z_scored(scores):
    return (scores - scores.mean(1, keepdims=True)) / (scores.std(1, keepdims=True) + 1e-9)


def hits(scores, spans, at=(1, 5, 20, 100)):
    """Share of the questions with a block of their span among the best -> {R@k: (value, half of the 95 % interval)}"""
    count = min(max(at), scores.shape[1])
    found = np.array([(row >= a) & (row <= b) for row, (a, b) in zip(best(scores, count), spans)])
    out = {}
    for k in at:
        share = found[:, :k].any(1).mean()
        out[f"R@{k}"] = (round(float(share), 4), round(1.96 * (share * (1 - share) / len(found)) ** 0.5, 4))
    return out


def landmark_scores(trainer, asked, tokenizer, keys):
    """keys [M, D'] -> scores of the questions in `asked` [Q, M]"""
    prompts = [prompt_ids(tokenizer.encode, question, BLOCK) for question, _, _ in asked]
    return query_vectors(trainer.model, prompts, trainer.dtype) @ keys.t()


@torch.no_grad()
def attention_features(trainer, asked, tokenizer, keys, candidates, batch=32):
    """Exact attention of each question over its candidates. keys: {layer: [M, R, G, D] before rotation}; candidates [Q, C]
    -> float32 [Q, C, L, H] (losses.attention_scores)"""
    model, out = trainer.model, []
    for first in range(0, len(asked), batch):
        prompts = [prompt_ids(tokenizer.encode, question, BLOCK) for question, _, _ in asked[first:first + batch]]
        rows, length = prompt_rows(model, prompts, max(map(len, prompts)))
        tokens = (torch.arange(rows.shape[1], device=rows.device) < length[:, None])[:, None]           # [b, 1, T]
        far = model.far_queries(model.run_prompts(rows, dtype=trainer.dtype)).to(trainer.dtype)[:, None]
        chosen = torch.from_numpy(candidates[first:first + batch]).to(rows.device)
        by_layer = []
        for index, layer in enumerate(trainer.shape.memory_layers):
            k = model.offset_keys(keys[layer][chosen].flatten(1, 2))
            by_layer.append(losses.attention_scores(far[:, :, :, index], k, tokens)[:, 0])
        out.append(torch.stack(by_layer, 2).float().cpu())
    return torch.cat(out).numpy()


def best(scores, count):
    """-> [Q, count]: the blocks with the highest scores, the best first"""
    chosen = np.argpartition(-scores, count - 1, 1)[:, :count]
    return np.take_along_axis(chosen, np.argsort(-np.take_along_axis(scores, chosen, 1), 1, kind="stable"), 1)


def fitted_scores(landmark, lexical, attention, candidates, spans, groups):
    """Scores of the candidates by weights that train.rank fits on the questions of other groups. landmark, lexical [Q, M];
    attention [Q, C, L, H]; candidates [Q, C]; groups: of each question. -> {name: [Q, M]}, nothing for other blocks"""
    questions = []
    for row, (first, last) in enumerate(spans):
        chosen, heads = candidates[row], attention[row].reshape(len(candidates[row]), -1)
        features = np.column_stack((landmark[row, chosen], lexical[row, chosen], heads - heads.mean(0)))
        questions.append(rank.Question(features, chosen, (chosen >= first) & (chosen <= last), np.ones(len(chosen), bool),
                                       groups[row]))
    out = {}
    for name, found in rank.make_fits(questions).items():
        scores_of, out["fitted " + name] = rank.fitted(found, held_out=True), np.full(landmark.shape, -np.inf)
        for row, question in enumerate(questions):
            out["fitted " + name][row, question.documents] = scores_of(question)
    return out


def retrieval(trainer, collection, asked, tokenizer, teacher, pieces):
    """asked: [(question, passage number, answers)] -> {method: hits}"""
    kept = collection.kept()
    number = np.cumsum(kept) - 1
    spans = [tuple(number[list(collection.spans[passage])]) for _, passage, _ in asked]
    joint, pools = zip(*index_collection(trainer, collection))
    mask = torch.from_numpy(kept).to(trainer.device)
    landmark = landmark_scores(trainer, asked, tokenizer, torch.cat(joint)[mask]).cpu().numpy()
    keys = {layer: torch.cat([pool[layer]["k"] for pool in pools])[mask] for layer in trainer.shape.memory_layers}
    del pools
    blocks = np.concatenate(collection.contexts)[kept]
    lexical = bm25_scores(blocks, [tokenizer.encode(question) for question, _, _ in asked])
    both = z_scored(landmark) + z_scored(lexical)
    out = {"blocks": len(blocks), "questions": len(asked), "landmark": hits(landmark, spans), "bm25": hits(lexical, spans),
           "sum": hits(both, spans)}
    candidates = best(both, min(CANDIDATES, len(blocks)))
    attention = attention_features(trainer, asked, tokenizer, keys, candidates)
    reordered = np.full_like(both, -np.inf)
    np.put_along_axis(reordered, candidates, attention.sum((2, 3)), 1)
    out["attention over the sum's best"] = hits(reordered, spans)
    if len(asked) >= FITTED:
        weighted = fitted_scores(z_scored(landmark), z_scored(lexical), attention, candidates, spans,
                                 [str(passage) for _, passage, _ in asked])
        out.update((name, hits(values, spans)) for name, values in weighted.items())
    if teacher:
        text = [tokenizer.decode([NEWLINE] + [int(i) for i in row if i > 4])[1:] for row in blocks]
        embedded = teacher.embed(padded([pieces.encode(t, 128) for t in text], 128))
        wanted = teacher.embed(padded([pieces.encode(INSTRUCTION + q, QUERY_PIECES * 2) for q, _, _ in asked], QUERY_PIECES * 2))
        taught = (wanted @ embedded.t()).cpu().numpy()
        out["teacher"] = hits(taught, spans)
        out["teacher sum"] = hits(z_scored(taught) + z_scored(lexical), spans)
    return out


def held_out_questions(folder, count, extractive=False, seed=0):
    """-> (passages, [(question, passage number, answers)]); extractive: whose short answer stands in the passage"""
    passages = [p for p in read_lines(f"{folder}/qa-train.dev.jsonl") if p["source"] in SOURCES]
    asked = [(q["question"], i, q["answers"]) for i, p in enumerate(passages) for q in p["qas"]
             if not extractive or p["source"] not in SENTENCES and any(answer in p["text"] for answer in q["answers"])]
    order = np.random.default_rng(seed).permutation(len(asked))[:count]
    return passages, [asked[i] for i in order]


def retrieval_tables(trainer, options, tokenizer, teacher, pieces):
    """Yields (name of the table, {method: hits})"""
    passages, asked = held_out_questions(options.text, options.ask)
    for name, build in (("packed", packed), ("apart", apart)):
        collection = build(passages, tokenizer.encode)
        yield name, retrieval(trainer, collection, asked, tokenizer, teacher, pieces)
        for tokens, documents in further_texts(options.text, tokenizer.encode, options.blocks - collection.kept().sum()):
            collection.add(tokens, documents)
        if name == "packed" or not options.quick:
            yield name + ", more", retrieval(trainer, collection, asked, tokenizer, teacher, pieces)


# ---------------------------------------------------------------- reading


def plain(answer):
    """An answer as SQuAD compares it."""
    kept = "".join(c for c in answer.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def f1(answer, gold):
    answer, gold = plain(answer), plain(gold)
    common = sum((Counter(answer) & Counter(gold)).values())
    return 2 * common / (len(answer) + len(gold)) if common else 0.0


def compare(answer, gold):
    """-> (exact match, F1) with the nearest of several gold answers"""
    return max(float(plain(answer) == plain(g)) for g in gold), max(f1(answer, g) for g in gold)


def with_interval(values):
    """-> (mean in percent, half of the 95 % interval)"""
    return round(100 * float(np.mean(values)), 2), round(196 * float(np.std(values)) / len(values) ** 0.5, 2)


def mean_match(matches, chosen=None):
    """matches: [(exact match, F1)] of each question; chosen: which of them count, all where None"""
    counted = np.array(matches)[slice(None) if chosen is None else chosen]
    if not len(counted):
        return {"questions": 0}
    return {"questions": len(counted), "exact match": with_interval(counted[:, 0]), "F1": with_interval(counted[:, 1])}


def texts_around(collection, block, size):
    """`size` tokens of a block's context, the block in their middle."""
    flat = collection.contexts[block // CONTEXT].reshape(-1)
    flat = flat[:int((flat != 0).nonzero()[0][-1]) + 1]
    first = block % CONTEXT * BLOCK
    start = reread.window(len(flat), first, min(first + BLOCK, len(flat)) - 1, size, 0.5)
    return [int(i) for i in flat[start:start + size] if i >= NEWLINE]


def read_again(trainer, collection, asked, tokenizer, chosen, scores):
    """chosen [Q, K]: blocks; scores [Q, K]. -> {setting: exact match and F1 of each question}"""
    documents, owner = [], []
    for row, (question, _, _) in enumerate(asked):
        ids, taken = prompt_ids(tokenizer.encode, question, reread.QUESTION), []
        for block in chosen[row][np.argsort(-scores[row], kind="stable")]:
            if len(taken) < AGAIN and all(abs(int(block) - other) > 1 for other in taken):
                taken.append(int(block))
                documents.append(reread.document(ids, texts_around(collection, int(block), reread.room(ids))))
                owner.append(row)
    answers = [[] for _ in asked]
    for row, answer in zip(owner, reread.read(trainer.model, documents, trainer.dtype)):
        answers[row].append(answer)
    sure = [max(a, key=lambda one: (bool(one[0]), one[1])) for a in answers]
    return {name: [compare(tokenizer.decode(ids), gold) for (ids, _), (_, _, gold) in zip(picked, asked)]
            for name, picked in (("the best text again", [a[0] for a in answers]), (f"the surest of {AGAIN} texts", sure))}


@torch.no_grad()
def answer_tables(trainer, options, tokenizer):
    """Yields (setting, exact match and F1) of extractive questions."""
    passages, asked = held_out_questions(options.text, options.ask, extractive=True)
    collection = packed(passages, tokenizer.encode)
    for tokens, documents in further_texts(options.text, tokenizer.encode, options.blocks - collection.kept().sum()):
        collection.add(tokens, documents)
    joint, pools = zip(*index_collection(trainer, collection))
    pool = {layer: {name: torch.cat([part[layer][name] for part in pools]) for name in ("k", "v")} for layer in pools[0]}
    keys = {layer: states["k"] for layer, states in pool.items()}
    kept = torch.from_numpy(collection.kept())
    spans = torch.tensor([collection.spans[passage] for _, passage, _ in asked])
    prompts = [prompt_ids(tokenizer.encode, question, BLOCK - ANSWER) for question, _, _ in asked]
    landmark, lexical = np.full((2, len(asked), len(kept)), FAR_BELOW, np.float32)
    landmark[:, kept] = z_scored(landmark_scores(trainer, asked, tokenizer, torch.cat(joint)).cpu()[:, kept].numpy())
    lexical[:, kept] = z_scored(bm25_scores(np.concatenate(collection.contexts)[kept.numpy()],
                                            [tokenizer.encode(question) for question, _, _ in asked]))

    def matched(chosen):
        """chosen [Q, K] -> {setting: exact match and F1 of each question}"""
        ids = answers(trainer.model, prompts, pool, chosen, kept[chosen], trainer.dtype, ANSWER)
        out = {"from memory": [compare(tokenizer.decode(i), gold) for i, (_, _, gold) in zip(ids, asked)]}
        blocks = chosen.numpy()
        exact = z_scored(attention_features(trainer, asked, tokenizer, keys, blocks).sum((2, 3)))
        scores = exact + sum(np.take_along_axis(part, blocks, 1) for part in (landmark, lexical))
        scores[~kept[chosen].numpy()] = -np.inf
        return {**out, **read_again(trainer, collection, asked, tokenizer, blocks, scores)}

    for name, matches in matched(spans[:, :1] // CONTEXT * CONTEXT + torch.arange(CONTEXT)).items():
        yield "passage in 2,048 tokens, " + name, mean_match(matches)
    for name, scores in (("landmark", landmark), ("sum with bm25", landmark + lexical)):
        chosen = torch.from_numpy(scores).topk(READ, 1).indices
        found = ((chosen >= spans[:, :1]) & (chosen <= spans[:, 1:])).any(1).numpy()
        for way, matches in matched(chosen).items():
            yield f"{READ} blocks of {int(kept.sum())}, {name}, {way}", {
                **mean_match(matches), "passage among them": with_interval(found), "of these": mean_match(matches, found)}


@torch.no_grad()
def reading(trainer, feed, tokenizer, batches):
    """Teacher-forced recall and gates by kind on held-out contexts; exact match and F1 of greedy answers."""
    sums, entries, matches = {"by_kind": Counter(), "point_by_kind": Counter()}, [], []
    for _ in range(batches):
        _, _, made = feed.next()
        batch = trainer.upload(made)
        h, memory = trainer.model.run_documents(batch["rows"], batch["documents"], trainer.dtype)
        keys = trainer.model.landmark_keys(memory)
        top_keys = trainer.model.offset_keys(memory[max(memory)]["k"])
        parts = trainer.read_loss(memory, keys, top_keys, batch)
        parts.update(trainer.stream_loss(h, memory, keys, batch))
        for part, right in sums.items():
            good, asked, kind = parts.pop(part)
            for index, name in enumerate(KINDS):
                chosen = (kind == index) & asked.any(1)
                right[name, "tokens"] += int(asked[chosen].sum())
                right[name, "right"] += int(good[chosen].sum())
                right[name, "answers"] += int(chosen.sum())
                right[name, "whole"] += int((good | ~asked)[chosen].all(1).sum())
        entries.append({name: value.float().cpu().numpy() for name, value in parts.items()})
        visible = batch["visible"].unflatten(0, (-1, trainer.step.prompts))
        for i, ids in enumerate(greedy(trainer.model, batch["prompts"], batch["prompt_length"], memory, visible,
                                       trainer.dtype, trainer.step.answer)):
            count = int(batch["answer_length"][i])
            if int(batch["kind"][i]) == 0 and count:
                first = int(batch["prompt_length"][i])
                gold = tokenizer.decode(batch["prompts"][i, first:first + count - 1].tolist())
                answer = tokenizer.decode(ids)
                matches.append(compare(answer, [gold]))
    kinds = {part: {name: {"tokens": right[name, "right"] / max(1, right[name, "tokens"]),
                           "whole": right[name, "whole"] / max(1, right[name, "answers"]), "answers": right[name, "answers"]}
                    for name in KINDS} for part, right in sums.items()}
    mean = {name: np.mean([e[name] for e in entries], 0).round(4).tolist() for name in entries[0]}
    return {**kinds, **mean, "greedy answers": mean_match(matches)}


@torch.no_grad()
def language(trainer, feed, batches):
    """Loss of held-out natural contexts with the memory, with near blocks only, and without; and in the second half."""
    out, variants = {}, {"memory": {}, "near blocks": {"reach": trainer.shape.near_blocks - 1}, "own block": {"reach": 0}}
    kept = trainer.model.shape
    batch_list = [trainer.upload(feed.next()[2]) for _ in range(batches)]
    for name, change in variants.items():
        trainer.model.shape = trainer.shape = dataclasses.replace(kept, **change)
        trainer.model.use_compiler(False)
        sums = np.zeros((2, 2))
        for batch in batch_list:
            natural = slice(0, trainer.step.natural)
            rows, documents = batch["rows"][natural], batch["documents"][natural]
            h, _ = trainer.model.run_documents(rows, documents, trainer.dtype)
            target = losses.next_tokens(rows, documents, kept)
            half = rows.shape[1] // 2
            for i, part in enumerate((slice(0, None), slice(half, None))):
                for row in range(len(rows)):
                    loss = losses.token_loss(h[row, part], trainer.model.output_norm, trainer.model.output_matrix(),
                                             target[row, part], kept.epsilon)
                    sums[i] += loss.item(), (target[row, part] != losses.IGNORED).sum().item()
        out[name] = {"all": round(sums[0, 0] / sums[0, 1], 4), "second half": round(sums[1, 0] / sums[1, 1], 4)}
    trainer.model.shape = trainer.shape = kept
    trainer.model.use_compiler(False)
    return out


def run(options):
    shape, step, settings = load_config(options.config)
    tokenizer = load(options.tokenizer)
    group = Group()
    device = group.device
    held_out = StepShape(**{**step, "answered": 1.0, "retold": 0.0})
    feed = Feed(options.parts, (options.tokenizer, "", options.questions, ""), held_out, options.workers, 77, group) \
        if {"reading", "language"} & set(options.only) else None
    trainer = Trainer(shape, StepShape(**step), settings, group, False)
    trainer.model.eval()  # without dropout
    if options.gguf:
        from . import gguf
        from .weights import load_weights
        load_weights(trainer.model, gguf.read(options.gguf)[1])
    else:
        checkpoint.load(options.checkpoint, trainer.model)
    teacher = Teacher(options.teacher, device, torch.float16 if device == "cuda" else torch.float32) if options.teacher else None
    pieces = WordPiece(options.pieces) if options.pieces else None
    results, began = {}, time.time()

    def keep(name, value):
        results[name] = value
        results["seconds"] = round(time.time() - began, 1)
        with open(options.out, "w", encoding="utf-8") as out:
            json.dump(results, out, indent=1)
        print(name, json.dumps(value), f"{time.time() - began:.0f} s", flush=True)

    with torch.no_grad():
        if "reading" in options.only:
            keep("reading", reading(trainer, feed, tokenizer, options.batches))
        if "retrieval" in options.only:
            for name, table in retrieval_tables(trainer, options, tokenizer, teacher, pieces):
                keep("retrieval, " + name, table)
        if "answers" in options.only:
            for name, table in answer_tables(trainer, options, tokenizer):
                keep("answers, " + name, table)
        if "language" in options.only:
            keep("language", language(trainer, feed, max(1, options.batches // 3)))
        if "perplexity" in options.only:
            keep("perplexity", perplexity(trainer.model, options.text, tokenizer.encode, trainer.dtype))
    if feed:
        feed.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--checkpoint", default="")
    parser.add_argument("--gguf", default="")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--text", required=True, help="folder of NAME.dev.jsonl")
    parser.add_argument("--parts", help="folder of packed held-out texts, for reading and language")
    parser.add_argument("--questions", help="held-out passages with questions, for the same")
    parser.add_argument("--out", required=True)
    parser.add_argument("--pieces", default="")
    parser.add_argument("--teacher", default="")
    parser.add_argument("--ask", type=int, default=2000)
    parser.add_argument("--blocks", type=int, default=30000)
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="leave out the largest variant of passages apart")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
