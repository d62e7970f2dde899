"""Recognizes common mistakes with masks, and says how to fix each."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence

import numpy as np

from rapidseg.core.errors import ImageError
from rapidseg.core.labels import Color, LabelSet
from rapidseg.data.annotation_files import ANNOTATION_SUFFIXES, explain_annotations
from rapidseg.data.checks.mask_evidence import BLENDED, INSTANCES, lossy_advice, rotation_advice
from rapidseg.data.checks.mask_evidence import IN_YAML as _IN_YAML
from rapidseg.data.layouts.pairing import Pair
from rapidseg.data.masks import MaskFormat, UnknownValues
from rapidseg.imaging import read_image
from rapidseg.imaging.mask_files import read_shown_colors

_LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp")
_MAX_MASK_COLORS = 64
_MAX_SPREAD = 52  # classes whose ids can be told apart after they were spread
_MAX_ENTRIES = 6  # of a proposed `label_map` that a message shows
_MIN_BLENDS = 3  # values; fewer can be forgotten classes
_MAX_COMPARED = 32  # values of classes between which others may lie
_MAX_DISTANCE = 8  # of a blended color from the line between two colors: what JPEG and rounding add
_MANY_VALUES = 20  # more unknown values than a forgotten class could explain


def explain_unknown_values(
    unknown_values: UnknownValues,
    labels: LabelSet,
    mask_format: MaskFormat,
    suffix: str = ".png",
    present: Collection[int] | None = None,
    lossy: str = "",
) -> str:
    """Returns advice on values that neither belong to a class nor are ignored.

    Args:
        unknown_values: these values.
        labels: the classes.
        mask_format: format of the masks.
        suffix: suffix of the mask file.
        present: ids of the classes in the whole split; None if only this file was read.
        lossy: the compression of the file if it changes pixel values, else empty.
    """
    if lossy:
        named = suffix if suffix.lower() in _LOSSY_SUFFIXES else lossy
        return lossy_advice(named)
    ids = {value for value in unknown_values.counts if isinstance(value, int)}
    colors = {value for value in unknown_values.counts if not isinstance(value, int)}
    advice = _explain_ids(ids, labels, mask_format, present) if ids else _explain_colors(colors, labels, mask_format)
    if advice is None and unknown_values.num_values > _MANY_VALUES:
        advice = (
            "so many different values mean that the mask was resized with interpolation or saved as JPEG, or is a "
            "photo; create the masks again as PNG, and resize them with nearest neighbor only"
        )
    if advice is None and _are_blends(unknown_values, mask_format):
        advice = f"these values lie between those of classes: {BLENDED}"
    return advice or f"correct the file, or map the value with `label_map` {_IN_YAML}"


def _explain_ids(
    ids: set[int], labels: LabelSet, mask_format: MaskFormat, present: Collection[int] | None
) -> str | None:
    num_classes = labels.num_classes
    direct = _is_direct(mask_format, labels)
    if direct and ids == {255} and num_classes == 2:
        return _explain_binary(labels)
    if 255 in ids and labels.ignore_index != 255:
        return (
            f"255 usually means unlabeled, but ignore_index is {labels.ignore_index}; write `ignore_index: 255`, or "
            f"list every value in `label_map`, with `255: ignore`, {_IN_YAML}"
        )
    if all(value % 257 == 0 and value // 257 < max(num_classes, 256) for value in ids) and max(ids) > 255:
        return "ids were scaled to 16 bits, by 257; divide them by 257 and save the masks with 8 bits"
    if any(mask_format.label_of(value // 1000) is not None for value in ids if value >= 1000):
        return INSTANCES
    if not direct:
        return None  # ids are mapped already, so their values say nothing
    if num_classes == 19 and all(19 <= value <= 33 for value in ids):
        return (
            "these look like label ids of Cityscapes instead of train ids; use the labelTrainIds files, or map the "
            f"ids with `label_map` {_IN_YAML}"
        )
    if ids == {num_classes}:
        return _explain_shift(labels, present)
    if spread := _explain_spread(ids, labels):
        return spread
    brightness = {round(0.299 * red + 0.587 * green + 0.114 * blue) for red, green, blue in labels.palette}
    if len(ids) > 1 and ids <= brightness:
        return (
            "these are the gray values of the class colors: a color mask was converted to gray; use the "
            f"color masks with `mask_format: colors` {_IN_YAML}"
        )
    return None


def _explain_spread(ids: set[int], labels: LabelSet) -> str | None:
    """Returns advice on ids that were spread over 0 to 255, so that a mask can be viewed; None for other ids."""
    num_classes = labels.num_classes
    values = [round(255 * index / (num_classes - 1)) for index in range(num_classes)]
    near = {value + offset: value for value in values for offset in (-1, 0, 1)}
    if num_classes > _MAX_SPREAD or not ids <= set(near) or 2 * len(ids) < num_classes - 2 or min(ids) < num_classes:
        return None
    exact = {near[value]: value for value in ids}
    entries = [f"{exact.get(value, value)}: {name}" for value, name in zip(values, labels.names, strict=True)]
    shown = entries if len(entries) <= _MAX_ENTRIES else [*entries[:2], "...", entries[-1]]
    return f"ids seem to be spread over 0 to 255 for viewing; write `label_map: {{{', '.join(shown)}}}` {_IN_YAML}"


def _are_blends(unknown_values: UnknownValues, mask_format: MaskFormat) -> bool:
    """Tells whether values lie between those of classes, as on borders that were anti-aliased or interpolated."""
    values = list(unknown_values.counts)
    known = np.array([np.atleast_1d(value) for value in mask_format.values], float)
    unknown = np.array([np.atleast_1d(value) for value in values], float)
    if len(values) < _MIN_BLENDS or len(known) < 2 or known.shape[1:] != unknown.shape[1:]:
        return False
    first, second = known[:_MAX_COMPARED, None], known[None, :_MAX_COMPARED]
    direction = second - first
    length = np.maximum((direction**2).sum(-1), 1e-9)
    for value in unknown:
        along = np.clip(((value - first) * direction).sum(-1) / length, 0, 1)
        distance = np.abs(value - first - along[..., None] * direction).max(-1)
        if distance.min() > _MAX_DISTANCE:
            return False
    return True


def _is_direct(mask_format: MaskFormat, labels: LabelSet) -> bool:
    """Returns whether ids in the masks are class ids already."""
    return all(mask_format.label_of(index) == index for index in range(labels.num_classes))


def _explain_binary(labels: LabelSet) -> str:
    first, second = labels.names
    ignored = "it is ignored already" if labels.ignore_index == 255 else "write `ignore_index: 255`,"
    return (
        f"if 255 means {second!r}, write `label_map: {{0: {first}, 255: {second}}}` {_IN_YAML}; if it means unlabeled, "
        f"{ignored}"
    ).removesuffix(",")


def _explain_shift(labels: LabelSet, present: Collection[int] | None) -> str:
    last = labels.num_classes
    between = " ... ," if last > 2 else ""
    from_one = f"`label_map: {{1: {labels.names[0]},{between} {last}: {labels.names[-1]}}}`"
    if present is None:
        return f"if ids start at 1, write {from_one} {_IN_YAML}"
    if 0 in present:
        return (
            f"ids run from 0 to {last}, one more than the classes; if 0 means unlabeled, write {from_one}, "
            f"and `0: ignore`, {_IN_YAML}"
        )
    return f"ids run from 1 to {last} and 0 never occurs, so they are off by one; write {from_one} {_IN_YAML}"


def _explain_colors(colors: set[Color], labels: LabelSet, mask_format: MaskFormat) -> str | None:
    grays = {red for red, green, blue in colors if red == green == blue}
    if len(grays) == len(colors) and all(gray < labels.num_classes or gray == labels.ignore_index for gray in grays):
        return f"these masks contain ids, not colors; write `mask_format: ids` {_IN_YAML}"
    if all(mask_format.label_of(color[::-1]) is not None for color in colors):
        return "red and blue are swapped; write the colors as red, green, blue"
    return None


def explain_empty(
    empty: Collection[int], ignored_pixels: int, labels: LabelSet, mask_formats: Sequence[MaskFormat]
) -> str:
    """Returns advice on classes without a pixel in a split.

    Args:
        empty: ids of those classes.
        ignored_pixels: number of ignored pixels in the split.
        labels: the classes.
        mask_formats: formats of the masks in the split.
    """
    if not empty:
        return ""
    num_classes, direct = labels.num_classes, all(_is_direct(masks, labels) for masks in mask_formats)
    if direct and 0 in empty and labels.ignore_index == num_classes and ignored_pixels:
        present = set(range(num_classes)) - set(empty)
        return f"the ids may start at 1: {_explain_shift(labels, present)}"
    if direct and num_classes == 2 and 1 in empty and labels.ignore_index == 255 and ignored_pixels:
        return _explain_binary(labels)
    if num_classes == 19 and set(range(6, 19)) <= set(empty) and not direct:
        return (
            "label ids above 18 never occur, so these files probably contain train ids; if so, name them "
            "*_gtFine_labelTrainIds.png"
        )
    return "add images that show them, or remove these classes"


def explain_unreadable(pair: Pair) -> str:
    """Returns `; ` and advice on a mask that cannot be read, or an empty string."""
    suffix = pair.mask.suffix.lower()
    if suffix in ANNOTATION_SUFFIXES:
        return f"; {explain_annotations(pair.mask)}"
    if suffix in _LOSSY_SUFFIXES or pair.mask_format.kind != "ids":
        return ""
    try:
        image = read_shown_colors(pair.mask)
    except ImageError:
        return ""
    if (image[..., :1] == image[..., 1:]).all():
        return "; its channels are equal, so save one of them as a gray PNG"
    colored = f"set `mask_format: colors`, and a color for each class, {_IN_YAML}"
    num_colors = len(np.unique(image[:: 1 + len(image) // 256].reshape(-1, 3), axis=0))
    if num_colors <= _MAX_MASK_COLORS:
        return f"; {colored}"
    with contextlib.suppress(ImageError):
        if np.array_equal(read_image(pair.image), image):
            return f"; it is the photo itself: correct the path of the mask; for masks of colors, {colored}"
    return (
        f"; it has more than {_MAX_MASK_COLORS} colors, so it is a photo, or its colors are blended; use the masks as "
        f"the label tool saved them; for masks of colors, {colored}"
    )


def explain_sizes(image_hw: tuple[int, ...], mask_hw: tuple[int, ...], rotation: int = 1) -> str:
    """Returns advice on an image and a mask that differ in size.

    Args:
        image_hw: size of the image, rotated by its EXIF orientation.
        mask_hw: size of the mask.
        rotation: EXIF orientation of a photo whose mask has none; 1 for every other pair.
    """
    if image_hw == mask_hw[::-1]:
        if rotation > 1:
            return (
                f"height and width are swapped: the photo has an EXIF rotation (orientation {rotation}) and its mask "
                f"was drawn on the unrotated pixels; {rotation_advice()}"
            )
        return (
            "height and width are swapped: the image is probably a photo with an EXIF rotation that its mask does "
            "not have; rotate the mask or remove the EXIF rotation"
        )
    return "an image and its mask must have the same size: resize the mask with nearest neighbor"
