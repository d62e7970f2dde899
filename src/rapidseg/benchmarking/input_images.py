"""The image that is segmented, as a file of each size that is measured."""

from __future__ import annotations

from pathlib import Path

from rapidseg.core.sizes import SizeHW, format_size
from rapidseg.imaging import read_image, resize_image, write_image


def image_of_size(image: Path, size_hw: SizeHW, folder: Path) -> Path:
    """Returns `image` itself if it has the size, else a JPEG of that size in `folder`.

    Raises:
        ImageError: the image cannot be read.
    """
    pixels = read_image(image)
    if pixels.shape[:2] == size_hw:
        return image
    path = folder / f"{image.stem}-{format_size(size_hw)}.jpg"
    write_image(path, resize_image(pixels, size_hw))
    return path
