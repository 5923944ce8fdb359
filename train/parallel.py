"""One process a GPU: every process makes its own contexts, gradients are averaged before the update.

Start with `torchrun --nproc_per_node COUNT -m train.train ...`; without it there is one process and nothing is exchanged.
"""
import os

import torch
import torch.distributed as distributed


class Group:
    """The processes of a run. rank: this one's number; size: how many there are."""

    def __init__(self):
        self.rank, self.size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = "cpu"
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
            self.device = "cuda"
        if self.size > 1:
            distributed.init_process_group("cpu:gloo,cuda:nccl" if self.device == "cuda" else "gloo")

    def average_gradients(self, parameters):
        """Replaces each gradient by its mean over the processes, or by zero if any of all the means is not finite.
        -> norm of the means [], on the device; nothing waits for it"""
        parameters = [p for p in parameters if p.requires_grad]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
        if self.size > 1:
            distributed.all_reduce(flat)
            flat /= self.size
        norm = flat.norm()
        flat = torch.where(torch.isfinite(norm), flat, torch.zeros_like(flat))
        for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters])):
            parameter.grad = part.view_as(parameter)
        return norm

    def first_decides(self, values):
        """The floats of the first process, in all: clocks differ, and all must take the same steps."""
        if self.size == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64)
        distributed.broadcast(shared, 0)
        return shared.tolist()

    def same_weights(self, parameters):
        """Gives every process the first one's weights."""
        if self.size > 1:
            for parameter in parameters:
                distributed.broadcast(parameter.data, 0)

    def close(self):
        if self.size > 1:
            distributed.destroy_process_group()
