"""Run-length encoded BMP files: a decoder whose time depends on the bytes of the file, not on the pixels it claims."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageFile

from rapidseg.imaging.integrity import DamagedImageError

CODEC = "rapidseg_bmp_rle"
"""Name of the decoder; replaces Pillow's `bmp_rle`, which fills every row byte by byte, in a tile."""

_END_OF_ROW, _END_OF_PICTURE, _MOVE = 0, 1, 2


class _Decoder(ImageFile.PyDecoder):
    """Takes the arguments of Pillow's decoder: raw mode, whether a byte holds two pixels, and the direction of rows."""

    _pulls_fd = True

    def decode(self, buffer: Any) -> tuple[int, int]:
        assert self.fd is not None
        pixels = decode_rle(self.fd.read(), (self.state.ysize, self.state.xsize), four_bits=bool(self.args[1]))
        self.set_as_raw(pixels.tobytes(), "L" if self.mode == "L" else "P", (0, self.args[-1]))
        return -1, 0


def decode_rle(data: bytes, size_hw: tuple[int, int], *, four_bits: bool) -> np.ndarray:
    """Decodes RLE8, or RLE4 with `four_bits`.

    Args:
        data: the compressed pixels; bytes behind their end are ignored.
        size_hw: height and width in pixels.
        four_bits: whether a byte holds two pixels.

    Returns:
        (H, W) uint8 palette indices, rows in the order of the file. Pixels that the data skips are 0.

    Raises:
        DamagedImageError: the data ends before the last row.
    """
    height, width = size_hw
    pixels = np.zeros(size_hw, np.uint8)
    row = column = position = 0
    try:
        while row < height:
            count, value = data[position], data[position + 1]
            position += 2
            if count:
                run = _unpacked(bytes([value]) * (-(-count // 2)), count) if four_bits else np.uint8(value)
                end = min(column + count, width)
                pixels[row, column:end] = run[: max(0, end - column)] if four_bits else run
                column += count
            elif value == _END_OF_ROW:
                row, column = row + 1, 0
            elif value == _END_OF_PICTURE:
                break
            elif value == _MOVE:
                column, row = column + data[position], row + data[position + 1]
                position += 2
            else:
                num_bytes = -(-value // 2) if four_bits else value
                packed = data[position : position + num_bytes]
                if len(packed) < num_bytes:
                    raise IndexError
                literal = _unpacked(packed, value) if four_bits else np.frombuffer(packed, np.uint8)
                end = min(column + value, width)
                pixels[row, column:end] = literal[: max(0, end - column)]
                column += value
                position += num_bytes + num_bytes % 2
            column = min(column, width)
    except IndexError:
        pass
    if row < height - 1 or (row == height - 1 and column < width and position > len(data) - 2):
        raise DamagedImageError(f"its run-length encoded data ends in row {row + 1} of {height}")
    return pixels


def _unpacked(packed: bytes, count: int) -> np.ndarray:
    """Returns the first `count` halves of bytes, the upper half first."""
    values = np.frombuffer(packed, np.uint8)
    return np.stack([values >> 4, values & 15], axis=1).ravel()[:count]


Image.register_decoder(CODEC, _Decoder)
