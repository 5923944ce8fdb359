"""Feeds training steps: picks contexts, has worker processes make the batches, keeps some ahead."""
import multiprocessing
import random

from . import data


class Feed:
    """Batches in order. Every natural context is seen once before any is seen again; parts of the packed documents that
    arrive in the folder while training runs join in."""

    def __init__(self, folder, arguments, step, workers, seed, ahead=3):
        """arguments: of data.Maker after the folder, without the step."""
        self.folder, self.step, self.random = folder, step, random.Random(seed)
        self.offsets, self.queue, self.known, self.number = [0], [], set(), seed * 1000003
        self.pool = None
        self.arguments = (folder, *arguments, step)
        if workers:
            self.pool = multiprocessing.get_context("fork").Pool(workers, data.start_worker, self.arguments)
        else:
            data.start_worker(*self.arguments)
        self.ahead, self.pending = ahead * max(1, workers), []
        self.look_for_parts()

    def look_for_parts(self):
        """New parts: their contexts come next, in random order."""
        parts = data.find_parts(self.folder, self.step.blocks)
        for part in range(len(self.offsets) - 1, len(parts)):
            self.offsets.append(self.offsets[-1] + parts[part].contexts)
            self.queue += [(part, index) for index in range(parts[part].contexts)]
            self.random.shuffle(self.queue)
        return len(parts)

    def _next_context(self):
        if not self.queue:
            self.queue = [(part, index) for part in range(len(self.offsets) - 1)
                          for index in range(self.offsets[part + 1] - self.offsets[part])]
            self.random.shuffle(self.queue)
        return self.queue.pop()

    def _task(self):
        self.number += 1
        contexts = []
        for place in range(self.step.natural + self.step.synthetic):
            part, index = self._next_context()
            number = self.offsets[part] + index
            natural = place < self.step.natural
            contexts.append((part, index, natural and number not in self.known))
            if natural:
                self.known.add(number)
        return self.number, contexts

    def next(self, timeout=120):
        """-> (numbers of the natural contexts, whether each is seen for the first time, batch)"""
        while len(self.pending) < self.ahead:
            seed, contexts = self._task()
            made = self.pool.apply_async(data.make_batch, (seed, contexts)) if self.pool else None
            self.pending.append((seed, contexts, made))
        seed, contexts, made = self.pending.pop(0)
        batch = made.get(timeout) if made else data.make_batch(seed, contexts)
        natural = contexts[:self.step.natural]
        return [self.offsets[part] + index for part, index, _ in natural], [fresh for _, _, fresh in natural], batch

    def close(self):
        if self.pool:
            self.pool.terminate()
