"""What masks say beyond their values: palettes, photos in place of masks, masks of unrotated photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rapidseg.core.labels import Color, LabelSet
from rapidseg.data.masks import DecodedMask, MaskFormat, format_value
from rapidseg.imaging.mask_files import exif_orientation, orient

IN_YAML = "in a YAML file that describes the data (docs/data.md)"

_MIN_PHOTO_VALUES = 32  # different values, beyond those of the classes, that a photo has at least
_MIN_PHOTO_CORRELATION = 0.98
_MAX_SAMPLED_SIDE = 192  # pixels per side that are compared; the fit of whole regions needs no more

_MAX_CHANGES = 0.25  # changes of class per pixel of a row; masks with more are noise

UNROTATED_FIT = 0.15  # gain of fit from which a single mask is surely drawn on the unrotated pixels
MEAN_UNROTATED_FIT = 0.05  # the same on average over a split
MEAN_ROTATED_FIT = -0.02  # gain of fit up to which the masks of a split are surely drawn on the rotated photos

PHOTO = "this mask is its photo once more; correct the paths of the masks"
INSTANCES = (
    "ids such as 26001 number instances of class 26; use the masks of class ids (`labelIds` or `labelTrainIds` in "
    "Cityscapes), or divide ids of 1000 and more by 1000"
)
BLENDED = (
    "anti-aliasing, interpolation and JPEG put values of their own on the borders of classes; create the masks again "
    "as PNG without anti-aliasing, and resize them with nearest neighbor only"
)
UNROTATED = "was drawn on the unrotated pixels of its photo"


def describe_contradiction(mask: DecodedMask, labels: LabelSet, mask_format: MaskFormat) -> str:
    """Returns `id 0 has the color 70 130 180 of 'sky' in its palette, but is read as 'road'`; empty without one."""
    if mask.contradiction is None:
        return ""
    value, color, class_id = mask.contradiction
    own = mask_format.label_of(value)
    read_as = "is ignored" if own is None or own >= labels.num_classes else f"is read as {labels.names[own]!r}"
    return f"id {value} has the color {format_value(color)} of {labels.names[class_id]!r} in its palette, but {read_as}"


def describe_difference(difference: tuple[int, Color, Color, Path]) -> str:
    """Returns `id 0 has the color 0 0 0, but 255 255 255 in FILE`."""
    value, color, first, path = difference
    return f"id {value} has the color {format_value(color)} in its palette, but {format_value(first)} in {path}"


def palette_advice(has_colors: bool) -> str:
    """Returns what to do about palettes.

    Args:
        has_colors: whether the description of the data gives the classes colors.
    """
    colors = "write `mask_format: colors`" + ("" if has_colors else ", and a color for each class,")
    return (
        f"if the colors of these masks mark the classes, {colors} {IN_YAML}; if their ids do, save all masks as gray "
        "PNGs or with one palette"
    )


def is_photo(mask: DecodedMask, image: np.ndarray) -> bool:
    """Tells whether a mask is its image once more, perhaps in gray or with a palette.

    Args:
        mask: the mask.
        image: (H, W, 3) uint8 RGB.
    """
    num_values = mask.num_others if mask.unknown_values is None else mask.unknown_values.num_values
    pixels = mask.file.pixels
    if num_values < _MIN_PHOTO_VALUES or pixels.shape[:2] != image.shape[:2]:
        return False
    step = _sampling_step(image)
    pixels, image = pixels[::step, ::step], image[::step, ::step]
    if mask.file.palette is not None:
        pixels = np.pad(mask.file.palette, ((0, 256 - len(mask.file.palette)), (0, 0)))[pixels]
    first = (pixels.mean(axis=2) if pixels.ndim == 3 else pixels.astype(float)).ravel()
    second = image.mean(axis=2).ravel()
    if not first.std() or not second.std():
        return False
    return bool(np.corrcoef(first, second)[0, 1] > _MIN_PHOTO_CORRELATION)


def lossy_advice(compression: str) -> str:
    """Returns what to do about a mask of colors that a compression has changed."""
    return f"{compression} is lossy and changes pixel values: save masks in a lossless format such as PNG"


def rotation_of(image: Path, mask: Path) -> int:
    """Returns the EXIF orientation of a photo whose mask has none, 2 to 8; 1 for every other pair."""
    orientation: int = exif_orientation(image)
    return orientation if exif_orientation(mask) == 1 else 1


def unrotated_fit(image: np.ndarray, label: np.ndarray, orientation: int, ignore_index: int) -> float | None:
    """Returns how much better a mask fits its photo if it was drawn on the unrotated pixels, -1 to 1.

    The fit is the share of the variance of the photo's colors that the classes explain.

    Args:
        image: (H, W, 3) uint8 RGB, rotated by its EXIF orientation.
        label: (H, W) uint8, the mask as it is stored.
        orientation: of the photo, 2 to 8.
        ignore_index: label of ignored pixels.

    Returns:
        The gain; None where the two cannot be compared because the rotated mask has another size.
    """
    rotated = orient(label, orientation)
    if label.shape != image.shape[:2] or rotated.shape != label.shape:
        return None
    step = _sampling_step(image)
    colors = image[::step, ::step].reshape(-1, 3).astype(float)
    stored, unrotated = (labels[::step, ::step].ravel() for labels in (label, rotated))
    return _explained(colors, unrotated, ignore_index) - _explained(colors, stored, ignore_index)


def count_blends(label: np.ndarray, ignore_index: int) -> tuple[int, int]:
    """Counts, along the rows of a mask, changes of class, and those by way of a single pixel of a class in between.

    Anti-aliasing and interpolation put such pixels on the borders of classes whose ids are not neighbors.

    Args:
        label: (H, W) uint8.
        ignore_index: label of ignored pixels, which blend with nothing.

    Returns:
        The number of pixels in between, and of changes. A mask of noise counts as one without changes.
    """
    changes = int(np.count_nonzero(label[:, 1:] != label[:, :-1]))
    if not changes or changes > _MAX_CHANGES * label.size:
        return 0, 0
    left, middle, right = label[:, :-2], label[:, 1:-1], label[:, 2:]
    between = ((left < middle) & (middle < right)) | ((left > middle) & (middle > right))
    is_class = (left != ignore_index) & (middle != ignore_index) & (right != ignore_index)
    return int(np.count_nonzero(between & is_class)), changes


def _explained(colors: np.ndarray, labels: np.ndarray, ignore_index: int) -> float:
    """Returns the share of the variance of colors (N, 3) that labels (N,) explain."""
    labeled = labels != ignore_index
    colors, labels = colors[labeled], labels[labeled]
    total = colors.var(axis=0).sum() * len(colors) if len(colors) else 0.0
    if not total:
        return 0.0
    counts = np.bincount(labels, minlength=256)
    sums = np.stack([np.bincount(labels, channel, minlength=256) for channel in colors.T], axis=1)
    means = sums / np.maximum(counts, 1)[:, None]
    between = (counts[:, None] * (means - colors.mean(axis=0)) ** 2).sum()
    return float(between / total)


def _sampling_step(image: np.ndarray) -> int:
    height, width = image.shape[:2]
    return int(1 + max(height, width) // _MAX_SAMPLED_SIDE)


def rotation_advice() -> str:
    """Returns what to do about masks under photos with an EXIF orientation."""
    return (
        "photos are rotated by their EXIF orientation when they are read; remove it from the photos "
        "(`exiftool -Orientation= FILES`) if the masks were drawn on the unrotated pixels, else save the "
        "photos rotated and without it"
    )
