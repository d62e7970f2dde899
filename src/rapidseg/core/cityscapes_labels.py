"""Every label of Cityscapes: ids, train ids, categories and colors.

The classes are defined by Cordts et al. (CVPR 2016, arXiv 1604.01685, section 2.2), their ids and colors by
`helpers/labels.py` of cityscapesScripts 2.3.0. A test compares the table with that file.
"""

from __future__ import annotations

from typing import NamedTuple

IGNORED = 255  # train id of the labels that are neither learned nor scored


class CityscapesLabel(NamedTuple):
    """A label of the polygon files.

    Attributes:
        name: as in polygon files; a name with `group` appended labels several objects at once.
        id: value in `labelIds` files; labels with id -1 are not drawn.
        train_id: class id in `labelTrainIds` files and in scores; `IGNORED` or -1 for labels that are not scored.
        category: coarser class, which the benchmark scores as well.
        has_instances: whether `instanceIds` files distinguish single objects.
        color: RGB.
    """

    name: str
    id: int
    train_id: int
    category: str
    has_instances: bool
    color: tuple[int, int, int]

    @property
    def is_scored(self) -> bool:
        """Whether the label is one of the 19 classes of the benchmark."""
        return self.train_id not in (IGNORED, -1)


def _labels(category: str, *entries: tuple[str, int, int, tuple[int, int, int]]) -> list[CityscapesLabel]:
    countable = category in ("human", "vehicle")
    return [
        CityscapesLabel(name, label_id, train_id, category, countable and label_id >= 0, color)
        for name, label_id, train_id, color in entries
    ]


CITYSCAPES_LABELS = (
    *_labels(
        "void",
        ("unlabeled", 0, IGNORED, (0, 0, 0)),
        ("ego vehicle", 1, IGNORED, (0, 0, 0)),
        ("rectification border", 2, IGNORED, (0, 0, 0)),
        ("out of roi", 3, IGNORED, (0, 0, 0)),
        ("static", 4, IGNORED, (0, 0, 0)),
        ("dynamic", 5, IGNORED, (111, 74, 0)),
        ("ground", 6, IGNORED, (81, 0, 81)),
    ),
    *_labels(
        "flat",
        ("road", 7, 0, (128, 64, 128)),
        ("sidewalk", 8, 1, (244, 35, 232)),
        ("parking", 9, IGNORED, (250, 170, 160)),
        ("rail track", 10, IGNORED, (230, 150, 140)),
    ),
    *_labels(
        "construction",
        ("building", 11, 2, (70, 70, 70)),
        ("wall", 12, 3, (102, 102, 156)),
        ("fence", 13, 4, (190, 153, 153)),
        ("guard rail", 14, IGNORED, (180, 165, 180)),
        ("bridge", 15, IGNORED, (150, 100, 100)),
        ("tunnel", 16, IGNORED, (150, 120, 90)),
    ),
    *_labels(
        "object",
        ("pole", 17, 5, (153, 153, 153)),
        ("polegroup", 18, IGNORED, (153, 153, 153)),
        ("traffic light", 19, 6, (250, 170, 30)),
        ("traffic sign", 20, 7, (220, 220, 0)),
    ),
    *_labels(
        "nature",
        ("vegetation", 21, 8, (107, 142, 35)),
        ("terrain", 22, 9, (152, 251, 152)),
    ),
    *_labels("sky", ("sky", 23, 10, (70, 130, 180))),
    *_labels(
        "human",
        ("person", 24, 11, (220, 20, 60)),
        ("rider", 25, 12, (255, 0, 0)),
    ),
    *_labels(
        "vehicle",
        ("car", 26, 13, (0, 0, 142)),
        ("truck", 27, 14, (0, 0, 70)),
        ("bus", 28, 15, (0, 60, 100)),
        ("caravan", 29, IGNORED, (0, 0, 90)),
        ("trailer", 30, IGNORED, (0, 0, 110)),
        ("train", 31, 16, (0, 80, 100)),
        ("motorcycle", 32, 17, (0, 0, 230)),
        ("bicycle", 33, 18, (119, 11, 32)),
        ("license plate", -1, -1, (0, 0, 142)),
    ),
)

CITYSCAPES_CLASSES = tuple(
    sorted((label for label in CITYSCAPES_LABELS if label.is_scored), key=lambda label: label.train_id)
)
"""The labels that are learned and scored, in the order of their train ids."""
