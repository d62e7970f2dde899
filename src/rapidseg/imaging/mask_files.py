"""Reads mask files with all that says what their pixels mean: palette, depth, alpha, compression, rotation."""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from rapidseg.core.errors import ImageError
from rapidseg.core.quiet import IgnoredWarnings
from rapidseg.core.wording import count_of
from rapidseg.imaging.image_files import FORMATS, _opened, _to_rgb, peek_pixels
from rapidseg.imaging.limits import max_pixels

_ORIENTATION, _UPRIGHT, _NUM_ORIENTATIONS = 0x0112, 1, 8  # in EXIF
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_EXIF = (b"eXIf", b"profile type exif")  # the latter is ImageMagick's
_PNG_HEADER_END = 33  # of the signature and the first chunk
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MAX_DEFLATE_RATIO = 1032  # the format's own limit
_BITS_PER_SAMPLE = 258  # tag of TIFF

_WITHOUT_WARNINGS = IgnoredWarnings(r"PIL\..*")


@dataclass(frozen=True, eq=False)
class MaskFile:
    """The content of a mask file, rotated by its own EXIF orientation.

    Attributes:
        pixels: (H, W) uint8 or uint16 ids as stored, or (H, W, 3) uint8 RGB colors.
        palette: (N, 3) uint8 RGB, the color of each id in the palette of the file; None without a palette that has
            colors of its own.
        num_transparent: number of pixels that are not opaque.
        lossy: the compression, such as `JPEG`, if it changes pixel values; empty if it does not.
    """

    pixels: np.ndarray
    palette: np.ndarray | None = None
    num_transparent: int = 0
    lossy: str = ""


def read_id_mask(path: str | os.PathLike[str]) -> MaskFile:
    """Reads a mask file of ids: gray values, or the indices of a palette.

    Returns:
        The file, with (H, W) pixels.

    Raises:
        ImageError: it cannot be read, is lossy, or holds something else than one id per pixel.
    """
    with _open_mask(path) as image:
        if lossy := _lossy_compression(image, path):
            raise ImageError(f"{path}: {lossy} changes pixel values, so it cannot hold class ids; store masks as PNG")
        _refuse_pages(image, path)
        transparent = _count_transparent(image)
        if image.mode == "LA" and not transparent:
            image = image.getchannel("L")
        if image.mode == "P":
            return MaskFile(np.array(image), _own_palette(image), transparent)
        if image.mode == "L":
            ids = np.array(image)
            ids //= np.uint8(image.info.get("rapidseg_stretch", 1))
            return MaskFile(ids, None, transparent)
        if image.mode == "1":
            return MaskFile(np.array(image).astype(np.uint8))
        if image.mode == "I" or image.mode.startswith("I;16"):
            ids = np.array(image)
            if ids.min(initial=0) < 0 or ids.max(initial=0) > 65535:
                raise ImageError(f"{path}: class ids from {ids.min()} to {ids.max()}; allowed are 0 to 65535")
            return MaskFile(ids.astype(np.uint16), None, transparent)
        if image.mode == "F":
            raise ImageError(f"{path}: its pixels are fractions (32-bit float), not ids; save the ids as an 8-bit PNG")
        if image.mode == "LA":
            raise ImageError(
                f"{path}: {count_of(transparent, 'pixel')} of this mask are transparent, so their ids are in doubt; "
                "remove the alpha channel, and give these pixels an id"
            )
        raise ImageError(
            f"{path}: a mask must have one channel of class ids, gray or palette, but this one has the channels "
            f"{', '.join(image.getbands())}; if its colors mark classes, describe them as the data set's colors"
        )


def read_color_mask(path: str | os.PathLike[str]) -> MaskFile:
    """Reads a mask file of colors.

    Returns:
        The file, with (H, W, 3) pixels.

    Raises:
        ImageError: it cannot be read, has transparent pixels, or more than 8 bits per channel.
    """
    with _open_mask(path) as image:
        lossy = _lossy_compression(image, path)
        _refuse_pages(image, path)
        if image.mode.startswith("I") or _has_deep_colors(image, path):
            raise ImageError(
                f"{path}: this mask has 16 bits per channel, but colors of classes have 8; save it with 8 bits, or "
                "write `mask_format: ids` if its values are ids"
            )
        transparent = _count_transparent(image)
        if transparent:
            raise ImageError(
                f"{path}: {count_of(transparent, 'pixel')} of this mask are transparent, so their color is in doubt; "
                "remove the alpha channel, and give these pixels a color, which `label_map` may ignore"
            )
        return MaskFile(_to_rgb(image, str(path)), lossy=lossy)


def read_shown_colors(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns what a viewer shows of a mask file, (H, W, 3) uint8 RGB, to explain why it is not a mask.

    Raises:
        ImageError: it cannot be read.
    """
    with _open_mask(path) as image:
        return _to_rgb(image, str(path))


def exif_orientation(path: str | os.PathLike[str]) -> int:
    """Returns the EXIF orientation of an image file, 1 to 8; 1, upright, where it has none that can be read."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(_PNG_START))
            # Pillow decodes a whole PNG to look for EXIF data behind the pixels.
            if start == _PNG_START:
                content = file.read()
                if not any(mark in content for mark in _PNG_EXIF):
                    return _UPRIGHT
        if peek_pixels(path) > max_pixels():
            return _UPRIGHT  # reading the pixels says that they are too many
        with _WITHOUT_WARNINGS, Image.open(path, formats=FORMATS) as image:
            orientation = int(image.getexif().get(_ORIENTATION, _UPRIGHT))
    except Exception:  # decoders raise nearly any type on damaged data; reading the pixels tells what is wrong
        return _UPRIGHT
    return orientation if orientation in range(1, _NUM_ORIENTATIONS + 1) else _UPRIGHT


def orient(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Rotates and mirrors stored pixels (H, W, ...) as an EXIF orientation says, as viewers do."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    mirrored = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    return np.flip(pixels, mirrored)


@contextlib.contextmanager
def _open_mask(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Yields the decoded picture, rotated by its EXIF orientation.

    It is decoded from memory: Pillow mixes up rows and columns of rotated TIFF files that it maps from the disk.
    """
    file: str | os.PathLike[str] | io.BytesIO = path
    with contextlib.suppress(OSError, ValueError):  # `_opened` explains what is wrong with the path
        if os.path.isfile(path):
            file = io.BytesIO(Path(path).read_bytes())
    if isinstance(file, io.BytesIO):
        content = file.getvalue()
        if not content:
            raise ImageError(f"{path}: the file is empty")
        _refuse_impossible_size(content, path)
    with _opened(file, str(path)) as image:
        yield image


def _refuse_impossible_size(content: bytes, path: str | os.PathLike[str]) -> None:
    """Raises `ImageError` for a PNG that states more pixels than its bytes can hold; Pillow would fill the rest."""
    header = content[len(_PNG_START) : _PNG_HEADER_END]
    if not content.startswith(_PNG_START) or header[4:8] != b"IHDR" or len(content) < _PNG_HEADER_END:
        _refuse_impossible_tiff(content, path)
        return
    width, height, bits, kind = struct.unpack(">IIBB", header[8:18])
    row = -(-width * bits * _PNG_CHANNELS.get(kind, 1) // 8)
    if height * row > _MAX_DEFLATE_RATIO * len(content):
        raise ImageError(
            f"{path}: the file is damaged or cut off ({len(content)} bytes cannot hold {height}x{width} pixels); "
            "replace or remove it"
        )


def _refuse_impossible_tiff(content: bytes, path: str | os.PathLike[str]) -> None:
    """The same for a TIFF that is not compressed as a fax, which may hold any number of white pixels."""
    impossible = ""
    with contextlib.suppress(Exception), _WITHOUT_WARNINGS, Image.open(io.BytesIO(content), formats=("TIFF",)) as image:
        size, compression = image.size, str(image.info.get("compression", ""))
        if "group" in compression or "ccitt" in compression:
            return
        if size[0] * size[1] <= 8 * _MAX_DEFLATE_RATIO * len(content):
            return
        impossible = f"{len(content)} bytes cannot hold {size[1]}x{size[0]} pixels"
    if impossible:
        raise ImageError(f"{path}: the file is damaged or cut off ({impossible}); replace or remove it")


def _lossy_compression(image: Image.Image, path: str | os.PathLike[str]) -> str:
    """Returns the compression of a file if it changes pixel values, else an empty text."""
    if image.format in ("JPEG", "MPO"):  # MPO: a camera's JPEG with a second picture behind the first
        return "JPEG"
    if image.format == "TIFF" and "jpeg" in str(image.info.get("compression", "")):
        return "JPEG in a TIFF"
    return "lossy WebP" if image.format == "WEBP" and _is_lossy_webp(Path(path)) else ""


def _refuse_pages(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """Raises `ImageError` for a file of several masks; smaller versions of the first page are not masks."""
    pages = getattr(image, "n_frames", 1)
    if pages < 2 or image.format == "MPO":
        return
    with Image.open(path, formats=FORMATS) as again:
        first = again.size
        again.seek(1)
        if again.size == first:
            raise ImageError(f"{path}: this file has {pages} pages or frames; save each mask as a file of its own")


def _is_lossy_webp(path: Path) -> bool:
    with path.open("rb") as file:
        content = file.read()
    position = 12  # behind `RIFF`, the size and `WEBP`
    while position + 8 <= len(content):
        kind, size = content[position : position + 4], int.from_bytes(content[position + 4 : position + 8], "little")
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8 "
        position += 8 + size + size % 2
    return False


def _has_deep_colors(image: Image.Image, path: str | os.PathLike[str]) -> bool:
    """Tells whether a file has more than 8 bits per channel, of which Pillow drops the lower ones."""
    if image.format == "PNG":
        with open(path, "rb") as file:
            return file.read(25)[-1:] == b"\x10"  # the depth in the header
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
        return any(bit > 8 for bit in (bits if isinstance(bits, tuple) else (bits,)))
    return False


def _own_palette(image: Image.Image) -> np.ndarray | None:
    """Returns the colors of a palette, or None if they are only the ids as gray values."""
    colors = np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)
    is_gray_ramp = (colors == np.arange(len(colors), dtype=np.uint8)[:, None]).all()
    return None if is_gray_ramp else colors


def _count_transparent(image: Image.Image) -> int:
    if image.mode in ("LA", "RGBA", "La", "RGBa", "PA"):
        return int(np.count_nonzero(np.array(image.getchannel(image.getbands()[-1])) < 255))
    key = image.info.get("transparency")
    if key is None:
        return 0
    if image.mode == "P":
        alphas = np.full(256, 255, np.uint8)
        if isinstance(key, bytes):
            alphas[: len(key)] = np.frombuffer(key[:256], np.uint8)
        elif isinstance(key, int) and key < 256:
            alphas[key] = 0
        return int(np.array(image.histogram()[:256])[alphas < 255].sum())
    if image.mode in ("L", "RGB"):
        pixels = np.array(image).reshape(image.height * image.width, -1)
        return int((pixels == np.array(key).reshape(-1)).all(axis=1).sum())
    return 0
