"""Class maps in the formats of other tools: COCO and supervision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rapidseg.core.errors import DependencyError
from rapidseg.core.labels import LabelSet
from rapidseg.imaging import count_pixels, mask_to_rle

if TYPE_CHECKING:
    import supervision


def coco_document(
    labels: LabelSet, class_map: np.ndarray, *, file_name: str, image_id: int, first_annotation_id: int
) -> dict[str, Any]:
    """Returns a class map, (H, W) uint8, as a COCO data set of one image; see `Result.to_coco`."""
    height, width = class_map.shape
    annotations: list[dict[str, Any]] = []
    for class_id in _classes_in(class_map, labels):
        mask = class_map == class_id
        left, top, right, bottom = _box(mask)
        annotations.append(
            {
                "id": first_annotation_id + len(annotations),
                "image_id": image_id,
                "category_id": class_id,
                "segmentation": mask_to_rle(mask),
                "area": int(mask.sum()),
                "bbox": [left, top, right - left + 1, bottom - top + 1],
                "iscrowd": 0,
            }
        )
    return {
        "images": [{"id": image_id, "file_name": file_name, "height": height, "width": width}],
        "annotations": annotations,
        "categories": [{"id": index, "name": name} for index, name in enumerate(labels.names)],
    }


def supervision_detections(
    labels: LabelSet, class_map: np.ndarray, confidence: np.ndarray | None
) -> supervision.Detections:
    """Returns a class map, (H, W) uint8, as `supervision.Detections`; see `Result.to_supervision`.

    Raises:
        DependencyError: supervision is not installed.
    """
    try:
        import supervision
    except ModuleNotFoundError as error:
        raise DependencyError(
            "supervision is not installed; install it with: pip install supervision", "supervision"
        ) from error
    classes = _classes_in(class_map, labels)
    if not classes:
        return supervision.Detections.empty()
    masks = np.stack([class_map == class_id for class_id in classes])
    means = None
    if confidence is not None:
        means = np.array([confidence[mask].mean() / 255 for mask in masks], np.float32)
    return supervision.Detections(
        xyxy=np.array([_box(mask) for mask in masks], np.float32),
        mask=masks,
        confidence=means,
        class_id=np.array(classes),
        data={"class_name": np.array([labels.names[class_id] for class_id in classes])},
    )


def _classes_in(class_map: np.ndarray, labels: LabelSet) -> list[int]:
    return [int(class_id) for class_id in np.flatnonzero(count_pixels(class_map)[: labels.num_classes])]


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Returns the first and last column and row of a mask that is not empty: left, top, right, bottom."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
