"""The result of segmenting one image."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from rapidseg.core.arguments import check_integer, check_number, check_path, refusal
from rapidseg.core.choices import SaveKind
from rapidseg.core.errors import InputError, nearest_hint
from rapidseg.core.labels import LabelSet
from rapidseg.core.sizes import format_size
from rapidseg.imaging import (
    Polygon,
    add_legend,
    count_pixels,
    encode_jpeg,
    mask_to_polygons,
    overlay,
    write_class_map,
    write_image,
)
from rapidseg.runtime.annotations import coco_document, supervision_detections
from rapidseg.runtime.display import show
from rapidseg.runtime.kernels.confidence import confidence_from_logits
from rapidseg.runtime.kernels.probabilities import probabilities_from_logits

if TYPE_CHECKING:
    import supervision

_REPR_CLASSES = 3  # named by `repr`


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The class map of one image, and what can be derived from it.

    Where the image was a PyTorch tensor on a device, so are `class_map`, `confidence` and `logits`, and they may still
    be computed there, as is usual in PyTorch. All methods wait for them and return NumPy arrays.

    Attributes:
        class_map: (H, W) uint8 class ids, at the image's own size.
        labels: names and colors of the classes.
        image: the image, (H, W, 3) uint8 RGB; an array that was passed as RGB is not copied.
        input_size_hw: height and width at which the network saw the image.
        timings_ms: milliseconds per stage: `compile` (0 except for the first image of a size), `prepare`, `network`,
            `class_map`; `decode` where the image was not an array. Of images that went through the network together,
            each has an equal share of their time.
        source: path of the image file; in a stream of images that are not files, the index, counted from 0.
        confidence: (H, W) uint8, the softmax of each pixel's class in steps of 1/255; None unless requested.
        logits: (K, h, w) at the network's stride, float32 (on a GPU in the engine's precision); `probabilities` needs
            them. `dataclasses.replace(result, logits=None)` releases their memory.
        align_corners: how the logits are interpolated.
    """

    class_map: np.ndarray
    labels: LabelSet
    image: np.ndarray
    input_size_hw: tuple[int, int]
    timings_ms: Mapping[str, float]
    source: Path | int | None = None
    confidence: np.ndarray | None = None
    logits: Any = None
    align_corners: bool = False

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the image and the class map."""
        return int(self.class_map.shape[0]), int(self.class_map.shape[1])

    def probabilities(self, rows: slice | None = None) -> np.ndarray:
        """Computes the probability of every class at every pixel: the softmax of the upsampled logits.

        The argmax over classes is `class_map`, except where classes tie to the last bit.

        Args:
            rows: the rows of the image to compute, such as `slice(0, 100)`; None: all. All classes of all rows take
                `4 * K * H * W` bytes, 160 MB for 19 classes at 1024x2048.

        Returns:
            (K, H, W) float32 from 0 to 1; H is the number of rows.

        Raises:
            InputError: `rows` is not a slice or has a step, or the result was created without logits.
        """
        if rows is not None and not isinstance(rows, slice):
            raise refusal("rows", rows, "a slice, such as slice(0, 100)")
        first, last, step = (rows or slice(None)).indices(self.size_hw[0])
        if step != 1:
            raise InputError(f"rows has the step {step}; pass consecutive rows, such as slice(0, 100)")
        return probabilities_from_logits(
            self._host_logits(), self.size_hw, align_corners=self.align_corners, rows=(first, max(first, last))
        )

    def iter_probabilities(self, rows_at_a_time: int = 64) -> Iterator[np.ndarray]:
        """Yields `probabilities` from top to bottom in blocks of rows, where memory is short.

        Args:
            rows_at_a_time: rows per block; the last block may have fewer.

        Yields:
            (K, rows, W) float32.
        """
        rows_at_a_time = check_integer("rows_at_a_time", rows_at_a_time, 1)
        for first in range(0, self.size_hw[0], rows_at_a_time):
            yield self.probabilities(slice(first, first + rows_at_a_time))

    def mask(self, name: str | int) -> np.ndarray:
        """Returns the pixels of one class.

        Args:
            name: of the class, such as `Car`, or its id.

        Returns:
            (H, W) bool.

        Raises:
            InputError: the model has no class of that name or id.
        """
        pixels: np.ndarray = _on_host(self.class_map) == self.labels.class_id(name)
        return pixels

    def polygons(self, name: str | int) -> list[Polygon]:
        """Returns the outlines of one class: one polygon per connected region.

        A polygon is a list of rings: first the outer ring, then one ring per hole. A ring is (N, 2) int32 points
        (x, y), the centers of border pixels that belong to the class. `rapidseg.imaging.polygons_to_mask` draws them
        back to exactly the mask.

        Args:
            name: of the class, such as `Car`, or its id.

        Raises:
            InputError: the model has no class of that name or id.
        """
        return mask_to_polygons(self.mask(name))

    def class_shares(self) -> dict[str, float]:
        """Returns the share of the pixels of each class, by name, from 0 to 1."""
        class_map = _on_host(self.class_map)
        counts = count_pixels(class_map)[: self.labels.num_classes]
        return {name: int(count) / class_map.size for name, count in zip(self.labels.names, counts, strict=True)}

    def to_dict(self) -> dict[str, Any]:
        """Returns the result without its arrays, ready for JSON: source, sizes, classes, their shares and timings."""
        return {
            "source": str(self.source) if isinstance(self.source, Path) else self.source,
            "size_hw": list(self.size_hw),
            "input_size_hw": list(self.input_size_hw),
            "classes": list(self.labels.names),
            "class_shares": {name: round(share, 6) for name, share in self.class_shares().items()},
            "timings_ms": {stage: round(value, 3) for stage, value in self.timings_ms.items()},
        }

    def to_coco(self, *, image_id: int = 1, first_annotation_id: int = 1) -> dict[str, Any]:
        """Returns the class map as a COCO data set of one image, ready for JSON.

        It has one annotation per class in the class map; its `segmentation` is the mask as compressed RLE, which is
        exact and keeps holes, and which pycocotools decodes. `bbox` is [x, y, width, height], and `area` is in pixels.
        `category_id` is the class id of the class map, counted from 0; `categories` lists all classes.

        Args:
            image_id: id of the image.
            first_annotation_id: annotations count up from it; pass another for each image of a larger data set.
        """
        image_id = check_integer("image_id", image_id)
        first_annotation_id = check_integer("first_annotation_id", first_annotation_id)
        name = self.source.name if isinstance(self.source, Path) else self.source
        return coco_document(
            self.labels,
            _on_host(self.class_map),
            file_name="" if name is None else str(name),
            image_id=image_id,
            first_annotation_id=first_annotation_id,
        )

    def to_supervision(self) -> supervision.Detections:
        """Returns `supervision.Detections`, one detection per class in the class map.

        They have `mask` (n, H, W) bool, `xyxy`, `class_id`, `data["class_name"]`, and where confidence was requested,
        `confidence`, the mean over the pixels of the class.

        Raises:
            DependencyError: supervision is not installed.
        """
        confidence = None if self.confidence is None else _on_host(self.confidence)
        return supervision_detections(self.labels, _on_host(self.class_map), confidence)

    def overlay(self, image: np.ndarray | None = None, alpha: float = 0.5) -> np.ndarray:
        """Blends the colors of the classes into the image.

        Args:
            image: to use instead of the segmented image; must have its height and width.
            alpha: 0 shows the image alone, 1 the colors alone.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            InputError: `image` has another size, or `alpha` is not between 0 and 1.
        """
        alpha = check_number("alpha", alpha)
        picture = self.image if image is None else image
        if not hasattr(picture, "shape"):
            raise refusal("image", picture, "an (H, W, 3) uint8 array, or nothing for the segmented image")
        return overlay(_on_host(picture), _on_host(self.class_map), self.labels.palette_array(), alpha)

    def plot(self, *, legend: bool = True, alpha: float = 0.5) -> np.ndarray:
        """Draws the result: the overlay, and below it a legend of the classes in the image.

        Args:
            legend: whether to add the legend.
            alpha: as for `overlay`.

        Returns:
            (H', W', 3) uint8 RGB: of the image's size, or larger with a legend, which is added below it and may need
            more width than a narrow image has.
        """
        picture = self.overlay(alpha=alpha)
        return add_legend(picture, self.labels, _on_host(self.class_map)) if legend else picture

    def show(self) -> None:
        """Shows `plot` in the notebook, or else in the system's image viewer.

        Raises:
            RapidSegError: no image viewer is available, as on servers.
        """
        show(self.plot())

    def save(self, path: str | os.PathLike[str], kind: SaveKind = "overlay") -> Path:
        """Writes one picture.

        Args:
            path: file to write, .png or .jpg; .png for class maps. Missing folders are created.
            kind: `overlay`, what `plot` draws; `class-map`, a palette PNG whose pixel values are class ids; or
                `confidence`, gray, where white is certain.

        Returns:
            The path.

        Raises:
            InputError: an unknown kind, or a suffix that does not go with it.
            RapidSegError: the file cannot be written.
        """
        path = Path(check_path("path", path, "the file to write, as text or pathlib.Path"))
        check_kind(kind)
        if kind == "overlay":
            return write_image(path, self.plot())
        if kind == "confidence":
            return write_image(path, self._confidence())
        if path.suffix.lower() == ".png":
            return write_class_map(path, _on_host(self.class_map), self.labels.palette_array())
        raise InputError(f"cannot write {path}: a class map needs exact pixel values; use the suffix .png")

    def __repr__(self) -> str:
        """Returns the size, the largest classes, and the time from the image in memory to its class map."""
        largest = sorted(self.class_shares().items(), key=lambda item: -item[1])[:_REPR_CLASSES]
        shares = ", ".join(f"{name} {share:.1%}" for name, share in largest if share)
        source = "" if self.source is None else f"{self.source}, "
        path_ms = sum(spent for stage, spent in self.timings_ms.items() if stage not in ("compile", "decode"))
        return f"<Result {source}{format_size(self.size_hw)}: {shares}; {path_ms:.1f} ms>"

    def _repr_jpeg_(self) -> bytes:
        """Is what notebooks show."""
        return encode_jpeg(self.plot())

    def _confidence(self) -> np.ndarray:
        if self.confidence is not None:
            return _on_host(self.confidence)
        return confidence_from_logits(self._host_logits(), self.size_hw, align_corners=self.align_corners)

    def _host_logits(self) -> np.ndarray:
        if self.logits is None:
            raise InputError("this result was created without logits, so its probabilities are unknown")
        if isinstance(self.logits, np.ndarray):
            return self.logits
        host: np.ndarray = self.logits.float().cpu().contiguous().numpy()
        return host


def check_kind(kind: str) -> None:
    """Raises `InputError` unless `kind` is a `SaveKind`."""
    allowed = get_args(SaveKind)
    if kind not in allowed:
        raise InputError(f"cannot save {kind!r}; allowed are {', '.join(allowed)}{nearest_hint(kind, allowed)}")


def _on_host(array: Any) -> np.ndarray:
    """Returns an array as it is, and a tensor as an array."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.cpu())
