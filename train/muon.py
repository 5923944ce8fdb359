"""Muon for matrices: momentum, then the nearest orthogonal matrix by Newton-Schulz iteration (Jordan et al., 2024),
scaled so that one learning rate serves it and AdamW alike (Liu et al., 2025)."""
import torch


def orthogonal(matrices, steps=5):
    """matrices [n, rows, columns] -> each with its singular values brought near 1, in bfloat16 on a GPU."""
    x = matrices.bfloat16() if matrices.is_cuda else matrices.float()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    x = x / (x.float().norm(dim=(1, 2), keepdim=True) + 1e-7).to(x.dtype)
    for _ in range(steps):
        square = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """Parameters of equal size are updated in one go."""

    def __init__(self, parameters, lr, momentum=0.95, decay=0.1):
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            sizes = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    sizes.setdefault(parameter.shape, []).append(parameter)
            for parameters in sizes.values():
                self._update(parameters, group)

    def _update(self, parameters, group):
        averages = []
        for parameter in parameters:
            state = self.state[parameter]
            if "average" not in state:
                state["average"] = torch.zeros_like(parameter)
            state["average"].lerp_(parameter.grad, 1 - group["momentum"])
            averages.append(parameter.grad.lerp(state["average"], group["momentum"]))
        update = orthogonal(torch.stack(averages))
        scale = 0.2 * max(parameters[0].shape) ** 0.5
        for parameter, direction in zip(parameters, update):
            parameter.mul_(1 - group["lr"] * group["decay"])
            parameter.add_(direction.to(parameter.dtype), alpha=-group["lr"] * scale)
