"""Feeds training steps: picks contexts, has worker processes make the batches, keeps some ahead."""
import multiprocessing
import random

from . import data


class Contexts:
    """The order in which a process sees its share of the natural contexts: each once before any is seen again. Parts of
    the packed documents that arrive in the folder while training runs join in."""

    def __init__(self, folder, blocks, group, seed):
        """blocks: of a context; group: parallel.Group, whose processes share out the contexts."""
        self.folder, self.blocks, self.group, self.random = folder, blocks, group, random.Random(seed)
        self.offsets, self.queue = [0], []
        self.look_for_parts()

    def look_for_parts(self):
        """New parts: their contexts come next, in random order."""
        parts = data.find_parts(self.folder, self.blocks)
        for part in range(len(self.offsets) - 1, len(parts)):
            self.offsets.append(self.offsets[-1] + parts[part].contexts)
            self.queue += self._share(part)
            self.random.shuffle(self.queue)

    def _share(self, part):
        """This process's contexts of a part."""
        count = self.offsets[part + 1] - self.offsets[part]
        return [(part, index) for index in range(self.group.rank, count, self.group.size)]

    def next(self):
        """-> (part, index within it)"""
        if not self.queue:
            self.queue = [place for part in range(len(self.offsets) - 1) for place in self._share(part)]
            self.random.shuffle(self.queue)
        return self.queue.pop()

    def number(self, part, index):
        """A context's number among all of all parts."""
        return self.offsets[part] + index


class Feed:
    """Batches in order."""

    def __init__(self, folder, arguments, step, workers, seed, group, ahead=3):
        """arguments: of data.Maker after the folder, without the step."""
        self.step, self.contexts = step, Contexts(folder, step.blocks, group, seed)
        self.known, self.seed = set(), (seed * group.size + group.rank) * 1000003
        self.pool = None
        arguments = (folder, *arguments, step)
        if workers:
            self.pool = multiprocessing.get_context("fork").Pool(workers, data.start_worker, arguments)
        else:
            data.start_worker(*arguments)
        self.ahead, self.pending = ahead * max(1, workers), []

    def _task(self):
        self.seed += 1
        chosen = []
        for place in range(self.step.natural + self.step.synthetic):
            part, index = self.contexts.next()
            number = self.contexts.number(part, index)
            natural = place < self.step.natural
            chosen.append((part, index, natural and number not in self.known))
            if natural:
                self.known.add(number)
        return self.seed, chosen

    def next(self, timeout=120):
        """-> (numbers of the natural contexts, whether each is seen for the first time, batch)"""
        while len(self.pending) < self.ahead:
            seed, chosen = self._task()
            made = self.pool.apply_async(data.make_batch, (seed, chosen)) if self.pool else None
            self.pending.append((seed, chosen, made))
        seed, chosen, made = self.pending.pop(0)
        batch = made.get(timeout) if made else data.make_batch(seed, chosen)
        natural = chosen[:self.step.natural]
        return ([self.contexts.number(part, index) for part, index, _ in natural], [fresh for _, _, fresh in natural],
                batch)

    def close(self):
        if self.pool:
            self.pool.terminate()
