"""Writes drawn scenes as a data set in the layout of Cityscapes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rapidseg.core.errors import DatasetError, InputError, Interrupted, RapidSegError
from rapidseg.core.files import check_output_folder, write_bytes, write_text
from rapidseg.core.parallel import unordered_process_map
from rapidseg.core.progress import Counter
from rapidseg.core.sizes import SizeHW, format_size
from rapidseg.core.wording import count_of
from rapidseg.scenes.scene import DEFAULT_SIZE_HW, TRAIN_IDS, check_scene, draw_scene_with_label_ids, scene_name

# Increased whenever the scenes of a seed change, so that a folder never mixes old and new scenes.
DRAWING_VERSION = 1

# `val` starts with this scene, so that `train` and `val` never share a scene.
FIRST_VAL_SCENE = 500_000

_RECORD = "synth.json"  # the arguments that a folder was drawn with
_PNG_LEVEL = 1  # camera noise hardly compresses: level 9 takes 20 times as long for 4 % less


@dataclass(frozen=True)
class WrittenScenes:
    """The result of `write_dataset`.

    Attributes:
        root: the data set's folder.
        num_train, num_val: number of scenes in each split.
        num_drawn: scenes that were drawn in this run.
        num_kept: scenes that existed already.
    """

    root: Path
    num_train: int
    num_val: int
    num_drawn: int
    num_kept: int


def write_dataset(
    root: str | os.PathLike[str],
    num_images: int,
    *,
    num_val_images: int = 0,
    seed: int = 0,
    size_hw: SizeHW = DEFAULT_SIZE_HW,
    workers: int = 1,
    progress: Counter | None = None,
) -> WrittenScenes:
    """Draws scenes into `leftImg8bit/{train,val}/synth` and `gtFine/{train,val}/synth`.

    The files depend only on `seed`, `size_hw` and the index of the scene. Existing scenes are kept, so interrupted runs
    can be resumed, and more scenes can be added later.

    Args:
        root: the folder to write to; created if needed.
        num_images: number of scenes in `train`.
        num_val_images: number of scenes in `val`.
        seed: 0 or more; each seed gives different scenes.
        size_hw: height and width in pixels, 32 to 8192 each.
        workers: number of processes.
        progress: called with the number of finished scenes, and of all.

    Raises:
        InputError: an argument is not valid, or `root` is a file.
        DatasetError: `root` contains other data, or scenes of another seed or size.
        RapidSegError: a file cannot be written.
    """
    folder = check_output_folder(root)
    for name, value, minimum in (
        ("num_images", num_images, 1),
        ("num_val_images", num_val_images, 0),
        ("workers", workers, 1),
    ):
        if value < minimum:
            raise InputError(f"{name} is {value}, but must be at least {minimum}")
    if max(num_images, num_val_images) > FIRST_VAL_SCENE:
        raise InputError(
            f"{max(num_images, num_val_images)} scenes per split are too many; the limit is {FIRST_VAL_SCENE}"
        )
    check_scene(seed, FIRST_VAL_SCENE, size_hw)
    _claim(folder, {"version": DRAWING_VERSION, "seed": seed, "size_hw": list(size_hw)})
    scenes = [("train", index) for index in range(num_images)]
    scenes += [("val", FIRST_VAL_SCENE + index) for index in range(num_val_images)]
    missing = [
        (split, index) for split, index in scenes if not all(path.is_file() for path in _paths(folder, split, index))
    ]
    done = len(scenes) - len(missing)
    if progress is not None:
        progress(done, len(scenes))
    draw = partial(_write_scene, folder, seed, size_hw)
    try:
        for _ in unordered_process_map(draw, missing, processes=workers):
            done += 1
            if progress is not None:
                progress(done, len(scenes))
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"{done} of {count_of(len(scenes), 'scene')} saved in {folder}; run the same command again to resume"
        ) from stop
    return WrittenScenes(folder, num_images, num_val_images, len(missing), len(scenes) - len(missing))


def _paths(root: Path, split: str, index: int) -> tuple[Path, Path, Path]:
    """Returns the files of a scene: image, label ids, train ids."""
    name = scene_name(index)
    image, masks = root / "leftImg8bit" / split, root / "gtFine" / split
    return (
        image / f"{name}_leftImg8bit.png",
        masks / f"{name}_gtFine_labelIds.png",
        masks / f"{name}_gtFine_labelTrainIds.png",
    )


def _write_scene(root: Path, seed: int, size_hw: SizeHW, scene: tuple[str, int]) -> None:
    split, index = scene
    image, label_ids = draw_scene_with_label_ids(seed, index, size_hw)
    pictures = (cv2.cvtColor(image, cv2.COLOR_RGB2BGR), label_ids, TRAIN_IDS[label_ids])
    for path, picture in zip(_paths(root, split, index), pictures, strict=True):
        if not path.is_file():
            write_bytes(path, _png(picture))


def _png(picture: np.ndarray) -> bytes:
    encoded, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL])
    if not encoded:
        raise RapidSegError(f"OpenCV could not encode an array of shape {picture.shape} as PNG; report this as a bug")
    return data.tobytes()


def _claim(root: Path, record: dict[str, Any]) -> None:
    """Records the arguments that a folder is drawn with, or checks that they are the recorded ones."""
    path = root / _RECORD
    advice = "choose another folder, or remove this one"
    if path.is_file():
        try:
            recorded = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise DatasetError(f"cannot read {path}: {error}; {advice}") from error
        if recorded != record:
            raise DatasetError(f"{root} contains scenes of {_describe(recorded)}, not of {_describe(record)}; {advice}")
    elif root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir()):
        raise DatasetError(f"{root} is not empty and was not drawn by this command (no {_RECORD}); {advice}")
    else:
        write_text(path, json.dumps(record) + "\n")


def _describe(record: Any) -> str:
    try:
        return f"seed {record['seed']} at {format_size(record['size_hw'])} (drawing version {record['version']})"
    except (KeyError, IndexError, TypeError):
        return repr(record)
