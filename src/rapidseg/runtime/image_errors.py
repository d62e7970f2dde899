"""Errors of engines and of memory, as the error of the image that they are about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2

from rapidseg.core.errors import EngineError, ImageError, InputError
from rapidseg.core.out_of_memory import is_out_of_memory
from rapidseg.core.sizes import SizeHW, format_size

_ENGINE_MODULES = ("onnxruntime", "openvino", "torch")  # whose errors are about their input


@contextlib.contextmanager
def image_errors(names: Sequence[str], size_hw: SizeHW, engine: str) -> Iterator[None]:
    """Raises what goes wrong with some images in the block as an error that names them.

    Args:
        names: of the images, for messages.
        size_hw: the size at which the network sees them.
        engine: name of the engine.

    Raises:
        ImageError: memory ran out.
        EngineError: the engine failed.
    """
    name = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    try:
        yield
    except InputError as error:
        if isinstance(error, ImageError):
            raise
        raise type(error)(f"{name}: {error}") from error
    except Exception as error:
        if isinstance(error, EngineError):  # it explains itself
            raise EngineError(f"{name}: {error}") from error
        if is_out_of_memory(error):
            raise ImageError(
                f"{name}: not enough memory to segment it at {format_size(size_hw)} with {engine}; use a smaller input "
                "size, or tile it"
            ) from error
        if not isinstance(error, RuntimeError | cv2.error) and not type(error).__module__.startswith(_ENGINE_MODULES):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise EngineError(
            f"{name}: {engine} failed at {format_size(size_hw)}: {lines[-1] if lines else type(error).__name__}; use "
            "another input size or engine"
        ) from error


def image_name(source: Path | int | None, image: Any) -> str:
    """Returns what messages call an image: its file, or its size."""
    return str(source) if isinstance(source, Path) else f"image of {format_size(image.shape)}"
