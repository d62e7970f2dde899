"""Engines without a network, for tests of what is done around one."""

from __future__ import annotations

import numpy as np

from rapidseg.core.labels import LabelSet
from rapidseg.runtime import Segmenter
from rapidseg.runtime.engines.engine import Engine
from tests.support.tiny_onnx import tiny_spec


class PixelEngine(Engine):
    """Gives each pixel (or, with a stride, the mean of each square) logits that depend on its own color alone."""

    def __init__(self, num_classes: int = 5, stride: int = 1) -> None:
        super().__init__(name="pixels", precision="float32", device="cpu")
        self.stride = stride
        self.seen_hw: list[tuple[int, int]] = []
        self.weights = np.random.default_rng(0).normal(0, 2, (num_classes, 3)).astype(np.float32)

    def compile(self, shape: tuple[int, ...]) -> None:
        pass

    def upload(self, images: np.ndarray) -> np.ndarray:
        self.seen_hw.append(images.shape[1:3])
        return images.astype(np.float32) / 127.5 - 1

    def infer(self, uploaded: np.ndarray) -> np.ndarray:
        step = self.stride
        height, width = (-(-side // step) * step for side in uploaded.shape[1:3])
        padding = ((0, 0), (0, height - uploaded.shape[1]), (0, width - uploaded.shape[2]), (0, 0))
        padded = np.pad(uploaded, padding, mode="edge")
        means = padded.reshape(len(padded), height // step, step, width // step, step, 3).mean((2, 4))
        return np.ascontiguousarray(np.moveaxis(means @ self.weights.T, 3, 1))


def pixel_segmenter(num_classes: int = 5, stride: int = 1, **changes: object) -> Segmenter:
    """Returns a segmenter over `PixelEngine`; `changes` are of its specification."""
    spec = tiny_spec(LabelSet.generic(num_classes), stride=stride, **changes)
    return Segmenter(PixelEngine(num_classes, stride), spec)
