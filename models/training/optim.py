"""Muon: momentum orthogonalised by Newton-Schulz steps, over stacks of equally shaped matrices."""
from __future__ import annotations

import collections

import torch


class Muon:
    """Update RMS is 0.2 x the learning rate; decoupled weight decay."""

    def __init__(self, params: list[torch.nn.Parameter], momentum: float = 0.95, weight_decay: float = 0.02, dtype: torch.dtype = torch.bfloat16) -> None:
        groups: dict[tuple[int, ...], list[torch.nn.Parameter]] = collections.defaultdict(list)
        for p in params:
            groups[tuple(p.shape)].append(p)
        self.groups = [(ps, torch.zeros(len(ps), *shape, device=ps[0].device)) for shape, ps in groups.items()]
        self.momentum, self.weight_decay, self.dtype = momentum, weight_decay, dtype

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One update."""
        for params, buffer in self.groups:
            grad = torch.stack([p.grad for p in params]).float()
            buffer.mul_(self.momentum).add_(grad, alpha=1 - self.momentum)
            x = torch.lerp(grad, buffer, self.momentum).to(self.dtype)
            tall = x.shape[1] > x.shape[2]
            if tall:
                x = x.transpose(1, 2)
            x = x / (x.float().norm(dim=(1, 2), keepdim=True) + 1e-7).to(x.dtype)
            for _ in range(5):
                y = x @ x.transpose(1, 2)
                x = 3.4445 * x + (-4.7750 * y + 2.0315 * (y @ y)) @ x
            if tall:
                x = x.transpose(1, 2)
            x = x.float() * (0.2 * max(x.shape[1:]) ** 0.5)
            for p, update in zip(params, x):
                p.mul_(1 - lr * self.weight_decay).add_(update, alpha=-lr)
