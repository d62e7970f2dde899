"""Random views of whole batches of images, on the device: crop, mirror, change colors, gray, normalize.

The transforms and their ranges are those of torchvision (`RandomResizedCrop`, `ColorJitter`, `RandomGrayscale`), which
the published code applies to one image at a time. Here a batch is one tensor. One thing differs: the order of the four
color changes is drawn once per view of a batch rather than once per image. Random numbers are drawn on the CPU from a
generator that is seeded for the step, so a run computes the same on every device and after every interruption.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rapidseg.recipes.pretraining_schema import ViewSection

_CROP_TRIES = 10  # for a crop that fits into the image; then the largest that does is taken, as in torchvision
_GRAY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow converts


def draw_crops(sizes_hw: Tensor, view: ViewSection, generator: torch.Generator) -> Tensor:
    """Draws a crop of each image: a share of its area and an aspect ratio, uniform and log-uniform.

    Args:
        sizes_hw: (B, 2) int64 heights and widths.
        view: `scale_range` and `aspect_range`.
        generator: on the CPU.

    Returns:
        (B, 4) int64: top, left, height and width of each crop, inside its image.
    """
    count = len(sizes_hw)
    height, width = sizes_hw[:, :1].double(), sizes_hw[:, 1:].double()
    random = torch.rand(3, count, _CROP_TRIES, dtype=torch.float64, generator=generator)
    low, high = view.scale_range
    area = height * width * (low + (high - low) * random[0])
    log_low, log_high = torch.tensor(view.aspect_range, dtype=torch.float64).log()
    aspect = (log_low + (log_high - log_low) * random[1]).exp()
    heights, widths = (area / aspect).sqrt().round(), (area * aspect).sqrt().round()
    fits = (heights >= 1) & (widths >= 1) & (heights <= height) & (widths <= width)
    first = torch.where(fits.any(1), fits.double().argmax(1), 0)[:, None]
    crop_h, crop_w = heights.gather(1, first), widths.gather(1, first)
    # Without a fit, the largest crop of an allowed aspect ratio, in the middle.
    image_aspect = (width / height).clamp(*view.aspect_range)
    largest_h = torch.minimum(height, (width / image_aspect).round())
    largest_w = torch.minimum(width, (height * image_aspect).round())
    fitting = fits.any(1, keepdim=True)
    crop_h = torch.where(fitting, crop_h, largest_h).clamp(min=1)
    crop_w = torch.where(fitting, crop_w, largest_w).clamp(min=1)
    top = (torch.rand(count, 1, dtype=torch.float64, generator=generator) * (height - crop_h + 1)).floor()
    left = (torch.rand(count, 1, dtype=torch.float64, generator=generator) * (width - crop_w + 1)).floor()
    top = torch.where(fitting, top, ((height - crop_h) / 2).floor())
    left = torch.where(fitting, left, ((width - crop_w) / 2).floor())
    return torch.cat([top, left, crop_h, crop_w], dim=1).long()


def crop_and_resize(images: Tensor, crops: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Cuts a crop out of each image and resizes it by bilinear interpolation, without reading beyond the crop.

    Crops that are larger than `size_hw` are sampled without a filter; images that are much larger than their views are
    cropped where they are decoded instead (`rapidseg.pretraining.batches`).

    Args:
        images: (B, 3, H, W) float.
        crops: (B, 4) top, left, height and width in pixels, on the device of the images.
        size_hw: of the result.

    Returns:
        (B, 3, h, w) float.
    """
    image_h, image_w = images.shape[2:]
    top, left, height, width = crops.to(images.dtype).T[..., None]
    ys = _positions(top, height, size_hw[0], images.device) * (2 / image_h) - 1 + 1 / image_h
    xs = _positions(left, width, size_hw[1], images.device) * (2 / image_w) - 1 + 1 / image_w
    grid = torch.stack([xs[:, None, :].expand(-1, size_hw[0], -1), ys[:, :, None].expand(-1, -1, size_hw[1])], dim=3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _positions(start: Tensor, length: Tensor, count: int, device: torch.device) -> Tensor:
    """Returns (B, count): where in the image, in pixels from the first one's center, the resized pixels are read."""
    steps = (torch.arange(count, device=device) + 0.5) / count
    inside = (steps * length - 0.5).clamp(min=0)
    return start + torch.minimum(inside, length - 1)


@dataclass(frozen=True, eq=False)
class ColorDraws:
    """Random numbers for the colors of a batch of views, on the device.

    Attributes:
        order: of brightness (0), contrast (1), saturation (2) and hue (3).
        factors: (4, B, 1, 1, 1): factors of the first three, and the shift of the hue in turns; neutral where an image
            keeps its colors.
        gray: (B, 1, 1, 1) bool.
        mirrored: (B, 1, 1, 1) bool.
    """

    order: tuple[int, ...]
    factors: Tensor
    gray: Tensor
    mirrored: Tensor

    @classmethod
    def draw(cls, count: int, view: ViewSection, generator: torch.Generator, device: torch.device) -> ColorDraws:
        order = tuple(torch.randperm(4, generator=generator).tolist())
        ranges = torch.tensor(view.color_jitter)[:, None]
        offsets = (2 * torch.rand(4, count, generator=generator) - 1) * ranges
        offsets *= torch.rand(count, generator=generator) < view.color_jitter_probability
        factors = offsets + torch.tensor([1.0, 1.0, 1.0, 0.0])[:, None]
        factors[:3].clamp_(min=0)
        gray = torch.rand(count, generator=generator) < view.gray
        mirrored = torch.rand(count, generator=generator) < view.flip
        shape = (-1, 1, 1, 1)
        return cls(
            order,
            factors.reshape(4, *shape).to(device, non_blocking=True),
            gray.reshape(shape).to(device, non_blocking=True),
            mirrored.reshape(shape).to(device, non_blocking=True),
        )


def change_colors(images: Tensor, draws: ColorDraws, view: ViewSection) -> Tensor:
    """Mirrors images, changes their colors and turns some gray.

    Args:
        images: (B, 3, H, W) float RGB of 0 to 1.
        draws: the random numbers.
        view: steps whose range or probability is 0 are skipped.

    Returns:
        (B, 3, H, W) float RGB of 0 to 1.
    """
    if view.flip > 0:
        images = torch.where(draws.mirrored, images.flip(3), images)
    if view.color_jitter_probability > 0:
        for step in draws.order:
            if view.color_jitter[step] == 0:
                continue
            factor = draws.factors[step]
            if step == 0:
                images = (images * factor).clamp(0, 1)
            elif step == 1:
                images = _blend(_gray(images).mean(dim=(1, 2, 3), keepdim=True), images, factor)
            elif step == 2:
                images = _blend(_gray(images), images, factor)
            else:
                images = shift_hue(images, factor)
    if view.gray > 0:
        images = torch.where(draws.gray, _gray(images), images)
    return images


def shift_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turns the hue of RGB values in the HSV hexagon.

    Args:
        images: (B, 3, H, W) float of 0 to 1.
        turns: broadcastable to (B, 1, H, W), in full turns.
    """
    red, green, blue = images.unbind(1)
    value = images.amax(1)
    chroma = value - images.amin(1)
    safe = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )  # in sixths of a turn
    hue = hue + 6 * turns.reshape(-1, 1, 1)
    # A channel is `value` minus `chroma` times a trapezoid of the hue (the closed form of the usual six cases).
    channels = []
    for offset in (5.0, 3.0, 1.0):
        k = torch.remainder(offset + hue, 6)
        channels.append(value - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, dim=1)


def normalize(images: Tensor, view: ViewSection) -> Tensor:
    """Returns normalized images, given (B, 3, H, W) float RGB of 0 to 1."""
    mean = images.new_tensor(view.mean).view(1, 3, 1, 1) / 255
    std = images.new_tensor(view.std).view(1, 3, 1, 1) / 255
    return (images - mean) / std


def _gray(images: Tensor) -> Tensor:
    weights = images.new_tensor(_GRAY).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def _blend(base: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    return (base + factor * (images - base)).clamp(0, 1)
