"""Writes drawn scenes as a data set in the layout of Cityscapes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rapidseg.core.errors import DatasetError, InputError, RapidSegError
from rapidseg.core.files import write_bytes, write_text
from rapidseg.core.parallel import unordered_process_map
from rapidseg.scenes.scene import DEFAULT_SIZE_HW, TRAIN_IDS, check_scene, draw_scene_with_label_ids, scene_name

# Raised whenever scenes of the same seed come to look different, so that one folder never mixes them.
DRAWING_VERSION = 1

# Scenes of `val` are numbered from here, so that asking for more of `train` never gives one of them.
FIRST_VAL_SCENE = 500_000

_NOTE = "synth.json"  # says what a folder was drawn with
_PNG_LEVEL = 1  # camera noise hardly compresses: level 9 takes 20 times as long for 4 % less


@dataclass(frozen=True)
class WrittenScenes:
    """What `write_dataset` did.

    Attributes:
        root: the data set's folder.
        num_train, num_val: scenes in each split that were asked for.
        num_drawn: scenes that were drawn now.
        num_kept: scenes that were there already.
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
    size_hw: tuple[int, int] = DEFAULT_SIZE_HW,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenScenes:
    """Draws scenes into `leftImg8bit/{train,val}/synth` and `gtFine/{train,val}/synth`.

    The files depend on `seed`, `size_hw` and the number of the scene only. Scenes that are there already are kept, so a
    run that was interrupted goes on where it was, and a later run can ask for more.

    Args:
        root: the folder to write to; it is made if it is not there.
        num_images: scenes in `train`.
        num_val_images: scenes in `val`.
        seed: 0 or more; another seed gives other scenes.
        size_hw: height and width in pixels, 32 to 8192 each.
        workers: processes that draw.
        progress: called with the number of scenes that are done, and of all.

    Raises:
        InputError: an argument is not what is allowed.
        DatasetError: `root` holds something else: other data, or scenes of another seed or size.
        RapidSegError: a file cannot be written.
    """
    folder = Path(root)
    for name, value, lowest in (
        ("num_images", num_images, 1),
        ("num_val_images", num_val_images, 0),
        ("workers", workers, 1),
    ):
        if value < lowest:
            raise InputError(f"{name} is {value}; give {lowest} or more")
    if max(num_images, num_val_images) > FIRST_VAL_SCENE:
        raise InputError(
            f"{max(num_images, num_val_images)} scenes a split are too many; give {FIRST_VAL_SCENE} or fewer"
        )
    check_scene(seed, FIRST_VAL_SCENE, size_hw)
    _claim(folder, {"version": DRAWING_VERSION, "seed": seed, "size_hw": list(size_hw)})
    wanted = [("train", index) for index in range(num_images)]
    wanted += [("val", FIRST_VAL_SCENE + index) for index in range(num_val_images)]
    missing = [
        (split, index) for split, index in wanted if not all(path.is_file() for path in _paths(folder, split, index))
    ]
    done = len(wanted) - len(missing)
    if progress is not None:
        progress(done, len(wanted))
    draw = partial(_write_scene, folder, seed, size_hw)
    for _ in unordered_process_map(draw, missing, processes=workers):
        done += 1
        if progress is not None:
            progress(done, len(wanted))
    return WrittenScenes(folder, num_images, num_val_images, len(missing), len(wanted) - len(missing))


def _paths(root: Path, split: str, index: int) -> tuple[Path, Path, Path]:
    """Returns the files of one scene: image, label ids, train ids."""
    name = scene_name(index)
    image, masks = root / "leftImg8bit" / split, root / "gtFine" / split
    return (
        image / f"{name}_leftImg8bit.png",
        masks / f"{name}_gtFine_labelIds.png",
        masks / f"{name}_gtFine_labelTrainIds.png",
    )


def _write_scene(root: Path, seed: int, size_hw: tuple[int, int], scene: tuple[str, int]) -> None:
    split, index = scene
    image, label_ids = draw_scene_with_label_ids(seed, index, size_hw)
    pictures = (cv2.cvtColor(image, cv2.COLOR_RGB2BGR), label_ids, TRAIN_IDS[label_ids])
    for path, picture in zip(_paths(root, split, index), pictures, strict=True):
        if not path.is_file():
            write_bytes(path, _png(picture))


def _png(picture: np.ndarray) -> bytes:
    encoded, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL])
    if not encoded:
        raise RapidSegError(f"OpenCV could not make a PNG of a picture of shape {picture.shape}; report this as a bug")
    return data.tobytes()


def _claim(root: Path, note: dict[str, Any]) -> None:
    """Writes down what a folder is drawn with, or makes sure that it is drawn with the same."""
    path = root / _NOTE
    advice = "give another folder, or remove this one"
    if path.is_file():
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path} cannot be read ({error}); {advice}") from error
        if found != note:
            raise DatasetError(f"{root} holds scenes of {_tell(found)}, not of {_tell(note)}; {advice}")
    elif root.is_dir() and any(root.iterdir()):
        raise DatasetError(f"{root} is not empty and was not drawn by this command (it has no {_NOTE}); {advice}")
    else:
        write_text(path, json.dumps(note) + "\n")


def _tell(note: Any) -> str:
    try:
        height, width = note["size_hw"]
        return f"seed {note['seed']} at {height}x{width} (drawing version {note['version']})"
    except (KeyError, TypeError, ValueError):
        return repr(note)
