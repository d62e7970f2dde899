"""`ClassMapping`: how classes that a model predicts count as classes of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rapidseg.core.errors import InputError, nearest_hint
from rapidseg.core.labels import CAMVID, CITYSCAPES, CITYSCAPES_TO_CAMVID, LabelSet

# name: (label set of the model, label set of the data, for each class of the model the class of the data)
CLASS_MAPPINGS: dict[str, tuple[LabelSet, LabelSet, tuple[int, ...]]] = {
    "cityscapes-to-camvid": (CITYSCAPES, CAMVID, CITYSCAPES_TO_CAMVID),
}

CUSTOM = "custom"


@dataclass(frozen=True)
class ClassMapping:
    """Replaces predicted classes by classes of a data set.

    Attributes:
        classes: for each class of the model, the class of the data; None: both have the same classes.
        name: of a known mapping, or `custom`; None: both have the same classes.
    """

    classes: tuple[int, ...] | None = None
    name: str | None = None

    @classmethod
    def between(cls, model: LabelSet, data: LabelSet, mapping: str | Sequence[int] | None = None) -> ClassMapping:
        """Returns the mapping from a model's classes to those of a data set.

        Args:
            model: the model's classes.
            data: the data set's classes.
            mapping: name of a known mapping, or the class of the data for each class of the model. None: no mapping
                where the class names are the same, else the known mapping between the two label sets.

        Raises:
            InputError: `mapping` is unknown or does not fit the classes, or the classes differ and no mapping between
                them is known.
        """
        if mapping is None:
            return cls._known(model, data)
        if not isinstance(mapping, str):
            return cls._custom(model, data, tuple(mapping))
        if mapping not in CLASS_MAPPINGS:
            names = list(CLASS_MAPPINGS)
            raise InputError(
                f"unknown class mapping {mapping!r}{nearest_hint(mapping, names)}; available: {', '.join(names)}"
            )
        source, target, classes = CLASS_MAPPINGS[mapping]
        # A model whose class names are unknown may be meant, so for the model only their number has to fit.
        if model.num_classes != source.num_classes:
            raise InputError(f"{mapping} is for a model with {_listed(source)}; this model has {_listed(model)}")
        if data.names != target.names:
            raise InputError(f"{mapping} is for data with {_listed(target)}; this data set has {_listed(data)}")
        return cls(classes, mapping)

    @classmethod
    def _known(cls, model: LabelSet, data: LabelSet) -> ClassMapping:
        if model.names == data.names:
            return cls()
        for name, (source, target, classes) in CLASS_MAPPINGS.items():
            if (source.names, target.names) == (model.names, data.names):
                return cls(classes, name)
        raise InputError(
            "the model and the data set have different classes, and no mapping between them is known. "
            f"The model has {_listed(model)}. The data set has {_listed(data)}. "
            "Evaluate on data with the model's classes, or describe the data set in a YAML file with a label_map"
        )

    @classmethod
    def _custom(cls, model: LabelSet, data: LabelSet, classes: tuple[int, ...]) -> ClassMapping:
        if len(classes) != model.num_classes:
            raise InputError(
                f"the class mapping has {len(classes)} entries but the model {_listed(model)}; "
                "give one entry for each class of the model"
            )
        outside = sorted({index for index in classes if not 0 <= index < data.num_classes})
        if outside:
            raise InputError(
                f"the class mapping leads to {', '.join(map(str, outside))}; "
                f"the data set's classes are 0 to {data.num_classes - 1}"
            )
        return cls(classes, CUSTOM)

    def __call__(self, class_map: np.ndarray) -> np.ndarray:
        """Maps an array of predicted classes of any shape, integers, to uint8; returns it as it is without a mapping.

        Raises:
            InputError: a predicted class is not in the mapping.
        """
        if self.classes is None:
            return class_map
        if class_map.size and (largest := int(class_map.max())) >= len(self.classes):
            raise InputError(
                f"the prediction contains class {largest}, but the class mapping has {len(self.classes)} entries; "
                "give one entry for each class of the model"
            )
        mapped: np.ndarray = self._table[class_map]
        return mapped

    @cached_property
    def _table(self) -> np.ndarray:
        table = np.zeros(256, np.uint8)
        classes = self.classes or ()
        table[: len(classes)] = classes
        return table


def _listed(labels: LabelSet) -> str:
    return f"{labels.num_classes} classes ({', '.join(labels.names)})"
