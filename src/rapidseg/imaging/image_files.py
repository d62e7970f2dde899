"""Image files, encoded bytes and Pillow images to arrays.

Pillow reads every format: it reports truncated files (older versions of OpenCV return the half that they could
decode), returns the indices of palette PNGs (OpenCV returns their colors) and keeps 16-bit data with its rotation.
OpenCV decodes only what it decodes identically and faster: complete color JPEGs that need no rotation.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from rapidseg.core.errors import ImageError
from rapidseg.core.out_of_memory import is_out_of_memory
from rapidseg.core.quiet import IgnoredWarnings
from rapidseg.core.sizes import SizeHW
from rapidseg.imaging import bmp_rle
from rapidseg.imaging.integrity import HEADER_BYTES, check_content, check_tiff, webp_size_hw
from rapidseg.imaging.limits import MAX_PIXELS_VARIABLE, check_pixels, decoding, max_pixels, raise_pillow_limit

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_FORMAT_NAMES = "JPEG, PNG, WebP, BMP or TIFF"

_JPEG_START, _TIFF_STARTS = b"\xff\xd8\xff", (b"II", b"MM")
_MAX_BYTES_PER_PIXEL = 16  # of a file: 16 bits in four channels, twice
_BAND_PIXELS = 1 << 22  # converted at once, so that a huge picture exists once, not three times
_ORIENTATION, _UPRIGHT = 0x0112, 1  # in EXIF

# Pillow stretches gray values of 2 and 4 bits to 0..255 and names the stored depth in its raw mode.
_STRETCH_FACTORS = {"L;2": 85, "L;4": 17}

# Pillow warns of metadata that it cannot parse; damage to the picture itself is an exception.
_WITHOUT_WARNINGS = IgnoredWarnings(r"PIL\..*")


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a JPEG, PNG, WebP, BMP or TIFF file, and rotates it by its EXIF orientation.

    Gray becomes three equal channels, a palette its colors. Transparency is dropped, not blended, so colors are those
    stored in the file. Of 16 bits per channel the upper 8 are kept. Of several pages or frames the first is read.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: the file is missing, empty, truncated, damaged, too large, or in another format.
    """
    name = str(path)
    content = _read_file(path, name)
    if content is not None:
        return _decode(content, name)
    with _opened(path, name) as image:
        return _to_rgb(image, name)


def decode_image(content: bytes | bytearray | memoryview, name: str = "encoded image") -> np.ndarray:
    """Decodes the bytes of an image file, as `read_image` reads files.

    Args:
        content: the bytes of a JPEG, PNG, WebP, BMP or TIFF file.
        name: what error messages call the image.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: the bytes are empty, truncated, damaged, too large, or in another format.
    """
    content = bytes(content)
    if not content:
        raise ImageError(f"{name}: no bytes; pass the whole content of an image file")
    return _decode(content, name)


def from_pillow(image: Image.Image, name: str = "PIL image") -> np.ndarray:
    """Converts a Pillow image of any mode, as `read_image` reads files; the image itself is not changed.

    Args:
        image: of a mode with up to 16 bits per channel.
        name: what error messages call the image.

    Returns:
        (H, W, 3) uint8 RGB, rotated by the image's EXIF orientation.

    Raises:
        ImageError: its file is truncated or damaged, or its mode has 32 bits per channel.
    """
    try:
        check_pixels(name, (image.height, image.width))
        with _WITHOUT_WARNINGS:
            _check_unread(image)
            image.load()
            with contextlib.suppress(Exception):  # unreadable EXIF data is no reason to reject an intact picture
                if image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
                    image = ImageOps.exif_transpose(image)
            return _to_rgb(image, name)
    except ImageError:
        raise
    except Exception as error:  # decoders raise nearly any type on damaged input
        if is_out_of_memory(error):
            raise _too_little_memory(name) from error
        raise ImageError(
            f"{name} cannot be converted to RGB ({error}); convert it with image.convert('RGB')"
        ) from error


def peek_pixels(file: str | os.PathLike[str] | bytes | bytearray | memoryview) -> int:
    """Returns how many pixels the header of an image file, or of its bytes, names; 0 where it is not readable."""
    try:
        with _WITHOUT_WARNINGS:
            if size_hw := _webp_size_hw(file):
                return size_hw[0] * size_hw[1]
            if isinstance(file, bytes | bytearray | memoryview):
                with Image.open(io.BytesIO(file), formats=FORMATS) as image:
                    return image.width * image.height
            with Image.open(file, formats=FORMATS) as image:
                return image.width * image.height
    except Exception:  # reading the file says what is wrong with it
        return 0


def read_mask(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a label file.

    Ids are the stored values: the gray values of a gray file, the indices (never the colors) of a palette file.

    Returns:
        (H, W) class ids, uint8, or uint16 where the file has more than 8 bits.

    Raises:
        ImageError: the file cannot be read, holds colors instead of ids, or is a JPEG, which changes values.
    """
    name = str(path)
    content = _read_file(path, name)
    with _opened(path if content is None else io.BytesIO(content), name) as image:
        if image.format in ("JPEG", "MPO"):  # MPO: a camera's JPEG with a second picture behind the first
            raise ImageError(f"{path}: JPEG changes pixel values, so it cannot hold class ids; store masks as PNG")
        if image.mode in ("L", "P"):
            ids = np.array(image)
            ids //= np.uint8(image.info.get("rapidseg_stretch", 1))
            return ids
        if image.mode == "1":
            return np.array(image).astype(np.uint8)
        if image.mode == "I" or image.mode.startswith("I;16"):
            ids = np.array(image)
            if ids.min(initial=0) < 0 or ids.max(initial=0) > 65535:
                raise ImageError(f"{path}: class ids from {ids.min()} to {ids.max()}; allowed are 0 to 65535")
            return ids.astype(np.uint16)
        raise ImageError(
            f"{path}: a mask must have one channel of class ids, gray or palette, but this one has the channels "
            f"{', '.join(image.getbands())}; if its colors mark classes, describe them as the data set's colors"
        )


def _read_file(path: str | os.PathLike[str], name: str) -> bytes | None:
    """Returns the content of a file; None for TIFF, which may contain further pages of any size, and for what is wrong.

    What is wrong with it, `_opened` explains.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode):
            return None
        with open(path, "rb") as file:
            start = file.read(len(_JPEG_START))
            if start.startswith(_TIFF_STARTS) and stat.S_ISREG(mode):
                return None
            limit = _MAX_BYTES_PER_PIXEL * max_pixels()
            content = start + file.read(limit)
    except (OSError, ValueError):
        return None
    except MemoryError as error:
        raise _too_little_memory(name) from error
    if len(content) > limit:
        raise ImageError(f"{name}: the file has more than {limit} bytes, too many for one image; tile it")
    if not content:
        raise ImageError(f"{name}: the file is empty")
    return content


def _decode(content: bytes, name: str) -> np.ndarray:
    """Returns the picture in the bytes of a file, (H, W, 3) uint8 RGB."""
    if content.startswith(_JPEG_START):
        pixels = _decode_plain_jpeg(content)
        if pixels is not None:
            return pixels
    with _opened(io.BytesIO(content), name) as image:
        return _to_rgb(image, name)


def _check_unread(image: Image.Image) -> None:
    """Checks the file of a Pillow image whose pixels have not been read yet."""
    file = getattr(image, "fp", None)
    if not getattr(image, "tile", None) or file is None:
        return
    with contextlib.suppress(OSError, ValueError):  # a source that cannot be read twice
        position = file.tell()
        try:
            file.seek(0)
            content = file.read(_MAX_BYTES_PER_PIXEL * max_pixels())
        finally:
            file.seek(position)
        check_content(content)
        if image.format == "TIFF":
            check_tiff(image)


def _to_rgb(image: Image.Image, name: str) -> np.ndarray:
    """Returns a decoded and rotated picture as (H, W, 3) uint8 RGB."""
    if image.mode in ("I", "F"):
        raise ImageError(
            f"{name}: images with 32 bits per channel are not supported; convert the image to 8 or 16 bits"
        )
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _BAND_PIXELS // max(1, image.width))
    if rows >= image.height:
        pixels[:] = _band_to_rgb(image)
        return pixels
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        pixels[top:bottom] = _band_to_rgb(image.crop((0, top, image.width, bottom)))
    return pixels


def _band_to_rgb(image: Image.Image) -> np.ndarray:
    """Returns some rows of a picture as RGB, (H, W, 3) or, where the channels are equal, (H, W, 1)."""
    if image.mode == "RGB":
        return np.asarray(image)
    if image.mode.startswith("I;16"):
        return (np.asarray(image) >> 8).astype(np.uint8)[:, :, None]
    if "transparency" in image.info:
        image = image.copy()
        del image.info["transparency"]
    if image.mode in ("RGBa", "La"):  # premultiplied: Pillow converts these only to their plain form
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    return np.asarray(image.convert("RGB"))


def _decode_plain_jpeg(content: bytes) -> np.ndarray | None:
    """Decodes a sound color JPEG with OpenCV, in two thirds of the time that Pillow takes.

    Returns:
        (H, W, 3) uint8 RGB; None for any other image, and where Pillow has to explain the damage.
    """
    with contextlib.suppress(Exception), _WITHOUT_WARNINGS:
        raise_pillow_limit()
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as header:
            if header.mode != "RGB" or header.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
                return None
            size_hw = header.height, header.width
        check_pixels("JPEG", size_hw)
        with decoding(size_hw):
            if not check_content(content):  # before OpenCV, which returns half a picture, and prints what it skips
                return None
            return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    return None


def _webp_size_hw(file: str | os.PathLike[str] | io.BytesIO | bytes | bytearray | memoryview) -> SizeHW | None:
    """Returns the size in the header of a WebP file; None for all others.

    Raises:
        OSError: it is not a regular file, or cannot be read.
    """
    if isinstance(file, io.BytesIO):
        return webp_size_hw(bytes(file.getbuffer()[:HEADER_BYTES]))
    if isinstance(file, bytes | bytearray | memoryview):
        return webp_size_hw(bytes(file[:HEADER_BYTES]))
    if not stat.S_ISREG(os.stat(file).st_mode):
        raise OSError(f"{os.fspath(file)} is not a regular file")
    with open(file, "rb") as opened:
        return webp_size_hw(opened.read(HEADER_BYTES))


@contextlib.contextmanager
def _opened(file: str | os.PathLike[str] | io.BytesIO, name: str) -> Iterator[Image.Image]:
    """Yields the decoded and rotated picture; whatever a decoder raises becomes an `ImageError` with the name."""
    try:
        if not isinstance(file, io.BytesIO):
            _check_is_file(file)
        raise_pillow_limit()
        with _WITHOUT_WARNINGS, contextlib.ExitStack() as stack:
            size_hw = _webp_size_hw(file)  # before Pillow takes memory for it
            if size_hw is not None:
                check_pixels(name, size_hw)
                stack.enter_context(decoding(size_hw))
            image = stack.enter_context(Image.open(file, formats=FORMATS))
            if size_hw is None:
                check_pixels(name, (image.height, image.width))
                stack.enter_context(decoding((image.height, image.width)))
            if isinstance(file, io.BytesIO):
                check_content(file.getvalue())
            if image.format == "TIFF":
                check_tiff(image)
            image.tile = [
                tile._replace(codec_name=bmp_rle.CODEC) if tile.codec_name == "bmp_rle" else tile for tile in image.tile
            ]
            raw_mode = image.tile[0].args if image.tile else None
            image.load()
            with contextlib.suppress(Exception):  # unreadable EXIF data is no reason to reject an intact picture
                ImageOps.exif_transpose(image, in_place=True)
            if isinstance(raw_mode, str):
                image.info["rapidseg_stretch"] = _STRETCH_FACTORS.get(raw_mode, 1)
            yield image
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file or folder") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: not a readable {_FORMAT_NAMES} image") from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ImageError(
            f"{name}: too large; images of up to {limit} million pixels are read; tile it, or raise the "
            f"limit: {MAX_PIXELS_VARIABLE}"
        ) from error
    except PermissionError as error:
        raise ImageError(f"{name}: no permission to read it") from error
    except Exception as error:  # decoders raise nearly any type on damaged input
        if is_out_of_memory(error):
            raise _too_little_memory(name) from error
        raise ImageError(f"{name}: the file is damaged or cut off ({error}); replace or remove it") from error


def _check_is_file(path: str | os.PathLike[str]) -> None:
    """Raises `ImageError` for folders, devices and an empty path: decoders explain them badly or read for ever."""
    name = str(path)
    if not name.strip():
        raise ImageError("the path of the image is empty")
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise ImageError(f"{name} is a folder, not an image file")
    if not stat.S_ISREG(mode):
        raise ImageError(f"{name} is a device, pipe or socket, not an image file; save the image to a file")


def _too_little_memory(name: str) -> ImageError:
    return ImageError(f"{name}: not enough memory to read it; tile it, or free memory")
