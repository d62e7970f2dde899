"""Every kind of image that a caller may pass, converted to one: (H, W, 3) uint8 RGB."""

from __future__ import annotations

import os
from typing import Any, Protocol

import cv2
import numpy as np
from PIL import Image

from rapidseg.core.errors import InputError
from rapidseg.imaging.image_files import decode_image, from_pillow, read_image


class ImageTensor(Protocol):
    """An (H, W, 3) uint8 tensor of another library, such as PyTorch."""

    @property
    def shape(self) -> Any: ...
    @property
    def dtype(self) -> Any: ...
    @property
    def device(self) -> Any: ...


ImageInput = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | np.ndarray | ImageTensor
"""A path, the bytes of an image file, a Pillow image, or an (H, W, 3) uint8 array or tensor."""


def to_image(image: Any, *, bgr: bool = False) -> np.ndarray:
    """Converts any supported kind of image.

    Args:
        image: the path of an image file; the bytes of one; a Pillow image of any mode; an (H, W, 3) uint8 array, which
            is returned as it is; or a tensor of PyTorch, which is copied to the host if it is on another device. EXIF
            orientation is applied to the first three.
        bgr: whether arrays and tensors hold BGR, as OpenCV reads images. The other kinds know their color order.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: a file, bytes or a Pillow image cannot be read.
        InputError: an array or tensor has another shape or dtype, or the image is of another type.
    """
    if _is_tensor(image):
        check_image(image)
        image = image.detach().cpu().numpy()
    if isinstance(image, np.ndarray):
        check_image(image)
        return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2RGB) if bgr else image
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return decode_image(image)
    if isinstance(image, Image.Image):
        return from_pillow(image)
    raise _wrong_type(image)


def check_image(image: Any) -> None:
    """Raises `InputError` unless an array or tensor is (H, W, 3) uint8, with a hint for the usual other layouts."""
    if not hasattr(image, "shape") or not hasattr(image, "dtype"):
        raise _wrong_type(image)
    shape, dtype = tuple(image.shape), str(image.dtype)
    hint = ""
    if len(shape) == 2:
        hint = "repeat its gray values in three channels"
    elif len(shape) == 4:
        hint = "pass one image at a time, or several to `Segmenter.batch`"
    elif len(shape) == 3 and shape[2] == 4:
        hint = "drop the fourth channel: image[:, :, :3]"
    elif len(shape) == 3 and shape[2] != 3 and shape[0] == 3:
        move = "permute" if _is_tensor(image) else "transpose"
        hint = f"move its channels to the end: image.{move}(1, 2, 0)"
    elif len(shape) != 3 or shape[2] != 3:
        hint = "pass three channels: red, green and blue"
    elif 0 in shape:
        hint = "it has no pixels"
    elif dtype.rpartition(".")[2] != "uint8":
        hint = "pass values from 0 to 255 as uint8, not normalized; the model normalizes them itself"
    if hint:
        raise InputError(f"an image must be (H, W, 3) uint8, but this one is {shape} {dtype}; {hint}")


def _is_tensor(image: Any) -> bool:
    """Returns whether an object is a tensor of PyTorch, which is not imported for that."""
    return all(hasattr(image, name) for name in ("detach", "cpu", "numpy", "shape", "dtype"))


def _wrong_type(image: object) -> InputError:
    return InputError(
        "an image must be a path, the bytes of an image file, a PIL image, or an (H, W, 3) uint8 array or tensor, not "
        f"{type(image).__name__}; convert other types with numpy.asarray"
    )
