"""Evaluations without a network, for the tests of reports."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from rapidseg.core.labels import LabelSet
from rapidseg.evaluation import score
from rapidseg.evaluation.report import make_run, run_document

LABELS = LabelSet(names=("road", "car", "sky"), palette=((200, 40, 40), (40, 200, 40), (40, 40, 200)))


@dataclass(frozen=True)
class Scene:
    """A labeled image that says itself what is to be predicted: in its red channel."""

    name: str
    image: np.ndarray
    label: np.ndarray


class Scenes:
    """As many scenes as shares of wrong pixels are given; None is a scene without any label."""

    labels = LABELS

    def __init__(self, wrong: list[float | None], size_hw: tuple[int, int] = (40, 60)) -> None:
        self._scenes = [self._make(index, share, size_hw) for index, share in enumerate(wrong)]

    def __len__(self) -> int:
        return len(self._scenes)

    def __iter__(self):
        return iter(self._scenes)

    @staticmethod
    def _make(index: int, wrong: float | None, size_hw: tuple[int, int]) -> Scene:
        label = (np.add.outer(np.arange(size_hw[0]), np.arange(size_hw[1])) // 20 % 3).astype(np.uint8)
        class_map = label.copy()
        class_map[: round((wrong or 0) * size_hw[0])] += 1
        class_map %= 3
        if wrong is None:
            label[:] = LABELS.ignore_index
        return Scene(f"scene/{index}", np.stack([class_map, label, label], axis=2), label)


def red_channel(image: np.ndarray) -> np.ndarray:
    return image[:, :, 0]


def make_run_document(scenes: Scenes, observers: tuple[Any, ...] = (), **changes: Any) -> dict[str, Any]:
    """Returns the JSON document of an evaluation of scenes; `changes` are of what it says about itself."""
    about: dict[str, Any] = {
        "version": "1.2.3",
        "date": datetime(2026, 11, 21, 12, 30, tzinfo=timezone.utc),
        "command": "rapidseg eval model.onnx --data scenes.yaml",
        "model": "model.onnx",
        "engine": "openvino",
        "precision": "float32",
        "device": "cpu",
        "data": "scenes.yaml",
        "root": None,
        "dataset": "scenes",
        "split": "val",
        "num_images": len(scenes),
        "protocol": {"name": "whole", "subsample": 1, "description": "whole image, single scale"},
        "input_size": None,
        "class_mapping": None,
        "warnings": [],
        "seconds": 1.5,
        "saved": None,
    }
    evaluation = score(red_channel, scenes, observers=observers)
    return run_document(make_run(evaluation, **about | changes), evaluation, num_worst=2)


def write_run(path: Path, wrong: list[float | None], **changes: Any) -> Path:
    path.write_text(json.dumps(make_run_document(Scenes(wrong), **changes)))
    return path
