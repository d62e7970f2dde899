"""Recognizes files of polygons and boxes that label tools save, which are not masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

ANNOTATION_SUFFIXES = (".json", ".xml", ".txt", ".csv")

_NUM_RECOGNIZED = 1 << 16  # bytes at each end of a file by which it is recognized; LabelMe stores the picture, too


def explain_annotations(path: Path) -> str:
    """Returns advice on a file of polygons or boxes that was given as a mask."""
    content = _ends(path)
    if path.suffix.lower() == ".json":
        if '"shapes"' in content or '"imageData"' in content:
            return (
                "it is an annotation of LabelMe, which holds polygons; draw masks from all of them with "
                "`labelme2voc.py` of LabelMe, and use the folder `SegmentationClass` that it writes"
            )
        if '"imgHeight"' in content:
            return "it is a polygon file of Cityscapes; draw the masks with `rapidseg data prepare cityscapes`"
        if '"segmentation"' in content or '"annotations"' in content:
            return "it is an annotation of COCO, which holds polygons; export masks as PNGs from the label tool"
    return "it holds annotations, not pixels; export masks as PNGs from the label tool"


def describe_annotations(files: Sequence[Path]) -> str | None:
    """Returns advice if files that should be masks are annotations instead; None if none of them is."""
    first = next((file for file in files if file.suffix.lower() in ANNOTATION_SUFFIXES), None)
    return None if first is None else f"{first} is not a mask: {explain_annotations(first)}"


def _ends(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(_NUM_RECOGNIZED)
            size = file.seek(0, 2)
            file.seek(max(0, size - _NUM_RECOGNIZED))
            return (start + file.read()).decode("utf-8", "replace")
    except OSError:
        return ""
