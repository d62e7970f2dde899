"""Scoring a model of one label set on a data set of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rapidseg.core.errors import InputError, nearest_hint
from rapidseg.core.labels import CAMVID, CITYSCAPES, CITYSCAPES_TO_CAMVID, LabelSet

# name: (label set of the model, label set of the data, predicted class to class of the data)
CLASS_MAPPINGS: dict[str, tuple[LabelSet, LabelSet, tuple[int, ...]]] = {
    "cityscapes-to-camvid": (CITYSCAPES, CAMVID, CITYSCAPES_TO_CAMVID),
}


def class_mapping_between(
    model: LabelSet, data: LabelSet, name: str | None = None
) -> tuple[str, tuple[int, ...]] | None:
    """Finds out how classes that a model predicts become classes of a data set.

    Args:
        model: the model's classes.
        data: the data set's classes.
        name: which mapping to take; None takes the one that leads from `model` to `data`, if one is needed.

    Returns:
        The name of the mapping and, for each class of the model, the class of the data; None if the class names are
        the same already.

    Raises:
        InputError: `name` is unknown or leads between other classes, or the classes differ and no mapping is known.
    """
    if name is None:
        if model.names == data.names:
            return None
        for known, (source, target, mapping) in CLASS_MAPPINGS.items():
            if (source.names, target.names) == (model.names, data.names):
                return known, mapping
        raise InputError(
            "the model and the data set have different classes, and no mapping between them is known. "
            f"The model has {_listed(model)}. The data set has {_listed(data)}. "
            "Evaluate on data with the model's classes, or describe the data set in a YAML file with a label_map"
        )
    if name not in CLASS_MAPPINGS:
        known_names = list(CLASS_MAPPINGS)
        raise InputError(
            f"no class mapping is called {name!r}{nearest_hint(name, known_names)}; known: {', '.join(known_names)}"
        )
    source, target, mapping = CLASS_MAPPINGS[name]
    # A model whose class names nobody knows may be meant, so for the model only their number has to fit.
    if model.num_classes != source.num_classes:
        raise InputError(f"{name} is for a model of {_listed(source)}; this model has {_listed(model)}")
    if data.names != target.names:
        raise InputError(f"{name} is for data with {_listed(target)}; this data set has {_listed(data)}")
    return name, mapping


class ClassMapper:
    """Replaces predicted classes by classes of the data set."""

    def __init__(self, mapping: Sequence[int], num_classes: int) -> None:
        """Checks the mapping.

        Args:
            mapping: for each class of the model, the class of the data.
            num_classes: classes of the data.

        Raises:
            InputError: the mapping leads to something that is no class of the data.
        """
        wrong = sorted({value for value in mapping if not 0 <= value < num_classes})
        if wrong:
            raise InputError(
                f"the class mapping leads to {', '.join(map(str, wrong))}; "
                f"the data set's classes are 0 to {num_classes - 1}"
            )
        self._size = len(mapping)
        self._table = np.zeros(256, np.uint8)
        self._table[: self._size] = mapping

    def __call__(self, class_map: np.ndarray) -> np.ndarray:
        """Maps an array of predicted classes of any shape, integers, to uint8.

        Raises:
            InputError: a predicted class is not in the mapping.
        """
        if class_map.size and (largest := int(class_map.max())) >= self._size:
            raise InputError(
                f"the prediction holds class {largest}, but the class mapping has {self._size} entries; "
                "give it one for each class of the model"
            )
        mapped: np.ndarray = self._table[class_map]
        return mapped


def _listed(labels: LabelSet) -> str:
    return f"{labels.num_classes} classes ({', '.join(labels.names)})"
