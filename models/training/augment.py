"""Photometric and geometric augmentation in torch (on the GPU in training), tiling and normalisation."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_JPEG = torch.tensor([[16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
                      [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92], [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]], dtype=torch.float32)


def _dct(device: torch.device) -> torch.Tensor:
    k = torch.arange(8, device=device, dtype=torch.float32)
    d = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) * 0.5
    d[0] /= math.sqrt(2)
    return d


def colour(pages: torch.Tensor) -> torch.Tensor:
    """Grey pages [B, H, W] as clean RGB in 0..255."""
    return pages[:, None].float().expand(-1, 3, -1, -1).contiguous()


def augment(pages: torch.Tensor, matrices: torch.Tensor, strength: float = 1.0, generator: torch.Generator | None = None, clean: float = 0.3) -> torch.Tensor:
    """uint8 pages [B, H, W] and page-to-output matrices [B, 3, 3] -> float RGB [B, 3, H, W] in 0..255.

    A share ``clean`` of the batch keeps its geometry matrix but gets no blur, noise or colour cast.
    """
    b, h, w = pages.shape
    dev = pages.device

    def uniform(*size: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        return torch.rand(*size, device=dev, generator=generator) * (high - low) + low

    dirty = (uniform(b, 1, 1, 1) >= clean).float()
    g = pages.float().div_(255.0)[:, None]
    # geometry: output pixel -> page pixel
    inverse = torch.linalg.inv(matrices.float())
    yy, xx = torch.meshgrid(torch.arange(h, device=dev, dtype=torch.float32) + 0.5, torch.arange(w, device=dev, dtype=torch.float32) + 0.5, indexing="ij")
    points = torch.stack([xx, yy, torch.ones_like(xx)], -1).reshape(1, h * w, 3)
    q = torch.matmul(points, inverse.transpose(1, 2))
    q = q[..., :2] / q[..., 2:]
    grid = torch.stack([q[..., 0] * (2.0 / w) - 1, q[..., 1] * (2.0 / h) - 1], -1).view(b, h, w, 2)
    inside = (grid.abs().amax(-1) <= 1)[:, None].float()
    table = torch.where(uniform(b, 1, 1, 1) < 0.6, torch.ones(b, 1, 1, 1, device=dev), uniform(b, 1, 1, 1, low=0.15, high=0.9))
    g = F.grid_sample(g, grid, mode="bilinear", padding_mode="border", align_corners=False)
    # blur: separable 5-tap Gaussian per sample
    sigma = uniform(b, low=0.05, high=0.85 * strength + 0.06) * (uniform(b) < 0.6).float() * dirty.view(b) + 0.05
    k = torch.arange(-2, 3, device=dev, dtype=torch.float32)
    taps = torch.exp(-k[None] ** 2 / (2 * sigma[:, None] ** 2))
    taps = taps / taps.sum(1, keepdim=True)
    g = F.conv2d(F.pad(g.view(1, b, h, w), (2, 2, 0, 0), mode="replicate"), taps.view(b, 1, 1, 5), groups=b)
    g = F.conv2d(F.pad(g, (0, 0, 2, 2), mode="replicate"), taps.view(b, 1, 5, 1), groups=b).view(b, 1, h, w)
    # ink gain (thin or fat print), then paper and ink colours
    g = g.clamp(1e-3, 1) ** torch.exp(uniform(b, 1, 1, 1, low=-0.45, high=0.45) * strength * dirty)
    paper = 1 - dirty * (1 - uniform(b, 1, 1, 1, low=0.72, high=1.0) - uniform(b, 3, 1, 1, low=-0.07, high=0.07) * strength)
    tint = uniform(b, 3, 1, 1, low=0.0, high=0.3) * (uniform(b, 1, 1, 1) < 0.25).float()
    ink = dirty * uniform(b, 1, 1, 1, low=0.0, high=0.40 * strength) * (uniform(b, 1, 1, 1) < 0.7).float() + tint
    ink = torch.minimum(ink, paper - 0.42)
    x = ink + (paper - ink) * g
    # light gradient, table behind the paper, noise
    gx, gy = (xx / w - 0.5)[None, None], (yy / h - 0.5)[None, None]
    x = x * (1 + dirty * strength * (uniform(b, 1, 1, 1, low=-0.16, high=0.16) * gx + uniform(b, 1, 1, 1, low=-0.16, high=0.16) * gy))
    x = x * inside + table * (1 - inside)
    noise = torch.randn(b, 1, h, w, device=dev, generator=generator) * (uniform(b, 1, 1, 1, low=0.0, high=0.05) * (uniform(b, 1, 1, 1) < 0.6).float() * strength * dirty)
    x = (x + noise).clamp_(0, 1)
    # JPEG luminance artefacts on a part of the batch
    chosen = (uniform(b) < 0.4 * dirty.view(b)).nonzero().squeeze(1)
    if len(chosen) and h % 8 == 0 and w % 8 == 0:
        y = x[chosen]
        n = len(chosen)
        luma, dct = y.mean(1) * 255 - 128, _dct(dev)
        quality = uniform(n, low=30.0, high=92.0)
        scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
        table_q = (_JPEG.to(dev)[None] * scale[:, None, None]).clamp(1, 255)[:, None, None]
        blocks = luma.view(n, h // 8, 8, w // 8, 8).permute(0, 1, 3, 2, 4)
        coefficients = torch.round(dct @ blocks @ dct.t() / table_q) * table_q
        out = (dct.t() @ coefficients @ dct).permute(0, 1, 3, 2, 4).reshape(n, h, w)
        x[chosen] = (y + ((out - luma) / 255)[:, None]).clamp(0, 1)
    return torch.round(x * 255)


def to_tiles(x: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """[B, 3, H, W] -> [B * n, 3, 448, 448]: row-major tiles, then the thumbnail when there is more than one tile."""
    columns, rows = grid
    b = x.shape[0]
    if columns * rows == 1:
        return x
    t = x.view(b, 3, rows, 448, columns, 448).permute(0, 2, 4, 1, 3, 5).reshape(b, rows * columns, 3, 448, 448)
    thumbnail = F.interpolate(x, size=(448, 448), mode="bilinear", antialias=True, align_corners=False)
    return torch.cat([t, thumbnail[:, None]], 1).reshape(-1, 3, 448, 448)


def normalize(x: torch.Tensor) -> torch.Tensor:
    """0..255 RGB to the model's input."""
    mean = torch.tensor(MEAN, device=x.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD, device=x.device).view(1, 3, 1, 1) * 255
    return (x - mean) / std
