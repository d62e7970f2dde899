"""The mIoU of a configuration: measured on labeled images, or stated for just this case; never guessed."""

from __future__ import annotations

from dataclasses import dataclass

from rapidseg.benchmarking.configuration import Configuration
from rapidseg.core.spec import ModelSpec
from rapidseg.imaging import input_size_hw

# Height and width of the images of data sets on which models state scores.
_IMAGE_SIZES_HW = {"camvid": (360, 480), "cityscapes": (1024, 2048)}


@dataclass(frozen=True)
class LabeledData:
    """What to score on; the arguments are those of `rapidseg eval`."""

    data: str
    root: str | None
    split: str
    mapping: str | None = None


@dataclass(frozen=True)
class Accuracy:
    """A mIoU, from 0 to 1, and where it comes from."""

    mean_iou: float
    source: str


def stated_accuracy(spec: ModelSpec, configuration: Configuration) -> Accuracy | None:
    """Returns the first score in a model file that holds for a configuration, or None.

    A score holds in float32 alone, and where the network sees images at the size at which it saw them when it was
    scored. (What another precision or size costs is what one wants to know, so nothing is carried over.)
    """
    if configuration.precision != "float32":
        return None
    wanted = configuration.input_size or spec.input_short_side
    seen_hw = input_size_hw(configuration.image_size_hw, wanted, spec.stride)
    for score in spec.scores:
        image_hw = _IMAGE_SIZES_HW.get(score.dataset)
        if image_hw and seen_hw == input_size_hw(image_hw, spec.input_short_side, spec.stride):
            return Accuracy(score.mean_iou, f"stated in the model file: {score.dataset} {score.split}")
    return None
