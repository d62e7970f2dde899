"""The polygon files of Cityscapes, and the masks that are drawn from them.

Objects are drawn in order, so later objects cover earlier ones; holes are objects on top (Cordts et al.,
arXiv 1604.01685, section 2.2). Polygons are drawn only once, with the number of their object; a lookup table from
objects to values then gives each kind of mask. `tests/parity/test_cityscapesscripts.py` checks that all masks equal
those of the official scripts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from PIL import Image, ImageDraw
from pydantic import BaseModel, Field, ValidationError

from rapidseg.core.cityscapes_labels import CITYSCAPES_LABELS, IGNORED, CityscapesLabel
from rapidseg.core.errors import DatasetError, nearest_hint
from rapidseg.core.printable import shortened
from rapidseg.core.validation import explain_validation

# The kinds of official mask files, and their pixel types.
MASK_KINDS: dict[str, type[np.uint8] | type[np.uint16]] = {
    "labelIds": np.uint8,
    "labelTrainIds": np.uint8,
    "instanceIds": np.uint16,
    "instanceTrainIds": np.uint16,
}

_LABELS = {label.name: label for label in CITYSCAPES_LABELS}
_BACKGROUND = (0, IGNORED, 0, IGNORED)  # `unlabeled`, in the order of MASK_KINDS
_GROUP = "group"  # after a label: several objects that could not be separated

Coordinate = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=32768)]


class PolygonObject(BaseModel):
    """A labeled polygon.

    Attributes:
        label: a name of `CITYSCAPES_LABELS`, which may end in `group`.
        polygon: corners (x, y) in pixels from the upper left corner of the image; they may be outside of the image.
        deleted: objects for which this is true are not drawn.
    """

    label: str
    polygon: list[Annotated[list[Coordinate], Field(min_length=2)]]
    deleted: Any = 0


class Annotation(BaseModel):
    """The polygons of an image, from far to near."""

    width: Side = Field(alias="imgWidth")
    height: Side = Field(alias="imgHeight")
    objects: list[PolygonObject]


def read_annotation(path: Path) -> Annotation:
    """Reads a `*_polygons.json` file.

    Raises:
        DatasetError: it cannot be read, or is not an annotation.
    """
    try:
        return Annotation.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror or error})") from error
    except ValidationError as error:
        raise DatasetError(f"{path}: {explain_validation(error, Annotation)}; restore the file") from error


def draw_masks(annotation: Annotation, where: Path, kinds: Sequence[str] = tuple(MASK_KINDS)) -> dict[str, np.ndarray]:
    """Draws masks of one or more kinds.

    Args:
        annotation: what to draw.
        where: its file, for messages.
        kinds: which of `MASK_KINDS`.

    Returns:
        (H, W) by kind, of the type in `MASK_KINDS`. `labelIds` holds the ids of `CITYSCAPES_LABELS`, `labelTrainIds`
        their train ids. In `instanceIds` the pixels of a single object have 1000 * id + its number among the objects
        of that label, in `instanceTrainIds` 1000 * train id + that number; all other pixels are as in `labelIds` or
        `labelTrainIds`.

    Raises:
        DatasetError: a label is unknown, or a polygon has fewer than two corners; the official scripts fail as well.
    """
    # Drawing in 8 bits takes a third of the time, and nearly all images have fewer than 256 objects.
    mode = "L" if len(annotation.objects) < 256 else "I"
    canvas = Image.new(mode, (annotation.width, annotation.height), 0)
    drawing = ImageDraw.Draw(canvas)
    values = [_BACKGROUND]
    for polygon, object_values in _visible_objects(annotation, where):
        drawing.polygon(polygon, fill=len(values))
        values.append(object_values)
    objects = np.asarray(canvas)
    table = np.minimum(np.array(values), 65535)  # the range of 16 bits; no image has 32,000 objects of a label
    columns = dict(zip(MASK_KINDS, table.T, strict=True))
    return {kind: np.take(columns[kind].astype(MASK_KINDS[kind]), objects) for kind in kinds}


def _visible_objects(
    annotation: Annotation, where: Path
) -> Iterator[tuple[list[tuple[float, float]], tuple[int, int, int, int]]]:
    """Yields the corners of each object to draw, and its values in the order of `MASK_KINDS`."""
    counts: Counter[str] = Counter()
    for index, item in enumerate(annotation.objects):
        if item.deleted:
            continue
        label, is_group = _find_label(item.label, index, where)
        if label.id < 0:
            continue
        if len(item.polygon) < 2:
            raise DatasetError(
                f"{where}: object {index} ({shortened(item.label)}) has too few corners ({len(item.polygon)}); a "
                "polygon needs at least 2: correct it or mark it as deleted"
            )
        instance, instance_train = label.id, label.train_id
        if label.has_instances and not is_group:
            instance = 1000 * label.id + counts[label.name]
            instance_train = 1000 * label.train_id + counts[label.name] if label.is_scored else IGNORED
            counts[label.name] += 1
        corners = [(point[0], point[1]) for point in item.polygon]
        yield corners, (label.id, label.train_id, instance, instance_train)


def _find_label(name: str, index: int, where: Path) -> tuple[CityscapesLabel, bool]:
    """Returns a label, and whether `name` means a group of objects."""
    if name in _LABELS:
        return _LABELS[name], False
    if (single := name.removesuffix(_GROUP)) in _LABELS:
        return _LABELS[single], True
    known = tuple(_LABELS)
    raise DatasetError(
        f"{where}: object {index} has the label {shortened(name)!r}, which Cityscapes does not have"
        f"{nearest_hint(name, known)}"
    )
