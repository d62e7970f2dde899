"""Random scale, crop, flip and color for training, each sample determined by a seed and its index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rapidseg.core.errors import ConfigError, nearest_hint
from rapidseg.data.sample import Sample

Probability = Annotated[float, Field(ge=0, le=1)]
Interval = tuple[float, float]

MAX_CROP_SIDE = 16_384
"""Largest height or width of a crop, in pixels."""

MAX_SCALED_PIXELS = 1 << 27
"""Pixels of a scaled image; one that would have more is scaled less."""

CropSide = Annotated[int, Field(ge=32, le=MAX_CROP_SIDE)]
Scale = Annotated[float, Field(ge=0.001, le=100)]
ColorFactor = Annotated[float, Field(ge=0, le=100)]
Exponent = Annotated[float, Field(ge=0.01, le=100)]

_MAX_CROP_TRIES = 10  # for a crop that is not dominated by one class, as in OpenMMLab's RandomCrop


class Photometric(BaseModel):
    """Color distortion.

    Brightness, contrast, saturation and hue follow SSD (arXiv 1512.02325, section 2.2) as OpenMMLab's
    PhotoMetricDistortion implements it: each is applied with probability 0.5, on 8-bit values, contrast first or last.
    The others are off by default; they help where weather and camera vary more than in the training images.

    Attributes:
        brightness: largest change, in gray levels of 0 to 255.
        contrast: smallest and largest factor.
        saturation: smallest and largest factor.
        hue: largest change, in steps of 2 degrees.
        gamma: smallest and largest exponent for values of 0 to 1, drawn log-uniformly; applied with probability 0.7.
        channel_gain: largest relative change of each color channel, applied with probability 0.5.
        blur_sigma: largest standard deviation of a Gaussian blur in pixels, applied with probability 0.2.
        noise_sigma: largest standard deviation of noise in gray levels, applied with probability 0.2.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    brightness: float = Field(default=32, ge=0, le=255)
    contrast: tuple[ColorFactor, ColorFactor] = (0.5, 1.5)
    saturation: tuple[ColorFactor, ColorFactor] = (0.5, 1.5)
    hue: int = Field(default=18, ge=0, le=90)
    gamma: tuple[Exponent, Exponent] | None = None
    channel_gain: float = Field(default=0, ge=0, lt=1)
    blur_sigma: float = Field(default=0, ge=0, le=100)
    noise_sigma: float = Field(default=0, ge=0, le=255)

    @field_validator("contrast", "saturation", "gamma")
    @classmethod
    def _rises(cls, interval: Interval | None) -> Interval | None:
        if interval is not None and interval[0] > interval[1]:
            raise ValueError(f"write the smaller number first, not {list(interval)}")
        return interval

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns a distorted copy of an (H, W, 3) uint8 RGB image."""
        levels = np.arange(256, dtype=np.float64)
        tables = np.stack([levels] * 3, axis=-1)  # (256, 3): the new value of each value of each channel
        if self.gamma is not None and rng.random() < 0.7:
            tables = 255 * (tables / 255) ** np.exp(rng.uniform(*np.log(self.gamma)))
        if self.channel_gain and rng.random() < 0.5:
            tables = tables * rng.uniform(1 - self.channel_gain, 1 + self.channel_gain, 3)
        if rng.random() < 0.5:
            tables = tables + rng.uniform(-self.brightness, self.brightness)
        contrast = rng.uniform(*self.contrast) if rng.random() < 0.5 else 1.0
        contrast_first = rng.random() < 0.5
        if contrast_first:
            tables = np.clip(tables, 0, 255) * contrast
        image = _map_values(image, tables)

        saturation = rng.uniform(*self.saturation) if rng.random() < 0.5 else 1.0
        hue = int(rng.integers(-self.hue, self.hue + 1)) if rng.random() < 0.5 else 0
        if saturation != 1 or hue != 0:
            hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)  # hue of 0 to 179, the others of 0 to 255
            image = cv2.cvtColor(
                _map_values(hsv, np.stack([(levels + hue) % 180, levels * saturation, levels], axis=-1)),
                cv2.COLOR_HSV2RGB,
            )
        if not contrast_first and contrast != 1:
            image = _map_values(image, np.stack([levels * contrast] * 3, axis=-1))
        if self.blur_sigma and rng.random() < 0.2:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, max(0.3, self.blur_sigma)))
        if self.noise_sigma and rng.random() < 0.2:
            noise = rng.standard_normal(image.shape, np.float32) * rng.uniform(0, self.noise_sigma)
            image = np.clip(image + noise, 0, 255).astype(np.uint8)
        return image


class Augmentation(BaseModel):
    """How a training sample is made from a labeled image.

    Attributes:
        crop_size: (height, width) in pixels of the network's input.
        scale_range: smallest and largest factor by which the image is resized before the crop.
        log_scale: draw the factor log-uniformly, so that halving is as likely as doubling.
        aspect_jitter: largest relative change of the aspect ratio.
        cat_max_ratio: a crop in which one class has more than this share of the labeled pixels is drawn again, up to
            ten times.
        flip: probability of a horizontal flip.
        photometric: color distortion, or None.
        copy_paste: probability of pasting objects of the `copy_paste_classes` from another sample over this one
            (Ghiasi et al., Simple Copy-Paste, arXiv 2012.07177, here with whole semantic regions).
        copy_paste_classes: names of the classes that are pasted.
        label_stride: the label is returned at every n-th row and column, beginning at a random one; the loss then
            costs less, which matters on CPUs. 1 keeps all of it. Must divide the crop's sides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    crop_size: tuple[CropSide, CropSide]
    scale_range: tuple[Scale, Scale]
    log_scale: bool = False
    aspect_jitter: float = Field(default=0, ge=0, lt=1)
    cat_max_ratio: float = Field(default=0.75, gt=0, le=1)
    flip: Probability = 0.5
    photometric: Photometric | None = Photometric()
    copy_paste: Probability = 0.0
    copy_paste_classes: tuple[str, ...] = ()
    label_stride: int = Field(default=1, ge=1, le=8)

    @model_validator(mode="after")
    def _check(self) -> Augmentation:
        low, high = self.scale_range
        if low > high:
            raise ValueError(f"scale_range must be two positive numbers, the smaller first, not {self.scale_range}")
        if any(side % self.label_stride for side in self.crop_size):
            raise ValueError(f"label_stride {self.label_stride} must divide both sides of crop_size {self.crop_size}")
        if self.copy_paste > 0 and not self.copy_paste_classes:
            raise ValueError("copy_paste is above 0, so copy_paste_classes must name at least one class")
        return self


class TrainingSamples:
    """An endless sequence of augmented samples.

    Sample `k` depends only on the data set, the augmentation, the seed and `k`, so an interrupted run resumes with
    exactly the samples that it would have seen. Every epoch is a permutation of all images.

    Args:
        dataset: labeled images; labels hold class ids or `ignore_index`.
        augmentation: how samples are made.
        class_names: names of the classes, by class id.
        ignore_index: label of pixels that do not count in the loss.
        fill: RGB color of padding, best the mean that normalization subtracts.
        seed: seed of all random choices.
        cache: keep decoded images in memory.

    Raises:
        ConfigError: `copy_paste_classes` names a class that the data set does not have.
    """

    def __init__(
        self,
        dataset: Sequence[Sample],
        augmentation: Augmentation,
        *,
        class_names: Sequence[str],
        ignore_index: int,
        fill: tuple[float, float, float],
        seed: int,
        cache: bool = False,
    ) -> None:
        self._dataset = dataset
        self._augmentation = augmentation
        self._ignore_index = ignore_index
        self._fill = tuple(round(value) for value in fill)
        self._seed = seed
        self._cache: dict[int, Sample] | None = {} if cache else None
        self._class_names = tuple(class_names)
        unknown = [name for name in augmentation.copy_paste_classes if name not in self._class_names]
        if unknown:
            raise ConfigError(
                f"copy_paste_classes: {', '.join(unknown)} is not a class"
                f"{nearest_hint(unknown[0], self._class_names)}; the classes are {', '.join(self._class_names)}"
            )

    @cached_property
    def _copy_paste_ids(self) -> np.ndarray:
        return np.array([self._class_names.index(name) for name in self._augmentation.copy_paste_classes], np.uint8)

    def __getitem__(self, k: int) -> tuple[np.ndarray, np.ndarray, str]:
        """Returns image (h, w, 3) uint8 RGB, label (h / label_stride, w / label_stride) uint8, and the image's name."""
        rng = np.random.default_rng((self._seed, k))
        sample = self._read(self._index(k))
        image, label = self._crop(sample, rng)
        name = sample.name
        if rng.random() < self._augmentation.copy_paste:
            other = self._read(int(rng.integers(len(self._dataset))))
            image, label = self._paste(image, label, *self._crop(other, rng))
            name = f"{name} with parts of {other.name}"
        if self._augmentation.photometric is not None:
            image = self._augmentation.photometric(image, rng)
        image, label = self._pad(image, label)
        step = self._augmentation.label_stride
        top, left = rng.integers(step, size=2)  # a fixed offset would bias the network towards it
        return np.ascontiguousarray(image), np.ascontiguousarray(label[top::step, left::step]), name

    def _index(self, k: int) -> int:
        epoch, position = divmod(k, len(self._dataset))
        return int(np.random.default_rng((self._seed, epoch, 1)).permutation(len(self._dataset))[position])

    def _read(self, index: int) -> Sample:
        if self._cache is None:
            return self._dataset[index]
        if index not in self._cache:
            self._cache[index] = self._dataset[index]
        return self._cache[index]

    def _crop(self, sample: Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Scales, crops and flips; the result is smaller than `crop_size` if the scaled image is."""
        options = self._augmentation
        if options.log_scale:
            scale = float(np.exp(rng.uniform(*np.log(options.scale_range))))
        else:
            scale = float(rng.uniform(*options.scale_range))
        aspect = float(np.exp(rng.uniform(-1, 1) * np.log1p(options.aspect_jitter)))
        height, width = sample.label.shape
        scale = min(scale, math.sqrt(MAX_SCALED_PIXELS / (height * width)))
        size_wh = (max(1, round(width * scale * aspect)), max(1, round(height * scale / aspect)))
        image = cv2.resize(sample.image, size_wh, interpolation=cv2.INTER_LINEAR)
        label = cv2.resize(sample.label, size_wh, interpolation=cv2.INTER_NEAREST_EXACT)
        crop_height, crop_width = options.crop_size
        for _ in range(_MAX_CROP_TRIES):
            top = int(rng.integers(max(label.shape[0] - crop_height, 0) + 1))
            left = int(rng.integers(max(label.shape[1] - crop_width, 0) + 1))
            part = label[top : top + crop_height, left : left + crop_width]
            counts = np.bincount(part[part != self._ignore_index])
            if options.cat_max_ratio == 1 or (
                np.count_nonzero(counts) > 1 and counts.max() < options.cat_max_ratio * counts.sum()
            ):
                break
        image = image[top : top + crop_height, left : left + crop_width]
        if rng.random() < options.flip:
            image, part = image[:, ::-1], part[:, ::-1]
        return image, part

    def _paste(
        self, image: np.ndarray, label: np.ndarray, other_image: np.ndarray, other_label: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lays the `copy_paste_classes` of the other crop over the first, where both have pixels."""
        height = min(label.shape[0], other_label.shape[0])
        width = min(label.shape[1], other_label.shape[1])
        mask = np.zeros(label.shape, bool)
        mask[:height, :width] = np.isin(other_label[:height, :width], self._copy_paste_ids)
        image, label = image.copy(), label.copy()
        image[mask] = other_image[:height, :width][mask[:height, :width]]
        label[mask] = other_label[:height, :width][mask[:height, :width]]
        return image, label

    def _pad(self, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pads right and bottom to `crop_size`."""
        crop_height, crop_width = self._augmentation.crop_size
        bottom, right = crop_height - label.shape[0], crop_width - label.shape[1]
        if bottom <= 0 and right <= 0:
            return image, label
        image = cv2.copyMakeBorder(
            np.ascontiguousarray(image), 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=self._fill
        )
        label = np.pad(label, ((0, bottom), (0, right)), constant_values=self._ignore_index)
        return image, label


def _map_values(image: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Replaces each value of each channel by its entry in a (256, 3) table, clipped to 0 to 255."""
    table = np.clip(tables, 0, 255).astype(np.uint8)[:, None, :]
    return cv2.LUT(image if image.flags.c_contiguous else np.ascontiguousarray(image), table)
