"""Mask files of every kind, sound and damaged; the same seed gives the same files."""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

SIZE_HW = (24, 32)

_PNG_START = b"\x89PNG\r\n\x1a\n"


def label() -> np.ndarray:
    """Returns ids 0 to 2 in blocks."""
    ids = np.zeros(SIZE_HW, np.uint8)
    ids[:8], ids[12:, :8] = 1, 2
    return ids


def sound_files(rng: np.random.Generator) -> dict[str, bytes]:
    """Returns files of ids and of colors in all formats, depths and compressions, with palettes, alpha and EXIF."""
    ids = label()
    gray = Image.fromarray(ids)
    colors = np.array([(128, 64, 128), (70, 130, 180), (0, 0, 142)], np.uint8)[ids]
    color = Image.fromarray(colors)
    alpha = np.full(SIZE_HW, 255, np.uint8)
    alpha[0, :4] = 90
    soft = alpha if rng.random() < 0.5 else np.full(SIZE_HW, 255, np.uint8)
    palette = gray.copy()
    palette.putpalette([70, 130, 180, 128, 64, 128, 0, 0, 142, *rng.integers(0, 256, 90).tolist()])
    exif = Image.Exif()
    exif[0x0112] = int(rng.integers(1, 9))
    pictures = {
        "gray": gray,
        "bits": Image.fromarray(ids > 0),
        "palette": palette,
        "deep": Image.fromarray(ids.astype(np.uint16) * int(rng.choice([1, 257, 1000]))),
        "color": color,
        "noise": Image.fromarray(rng.integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)),
        "color with alpha": Image.fromarray(np.dstack([colors, alpha])),
        "gray with alpha": Image.fromarray(np.dstack([ids, soft])),
        "int": Image.fromarray(ids.astype(np.int32)),
        "float": Image.fromarray(ids.astype(np.float32)),
    }
    files = {}
    for name, picture in pictures.items():
        for image_format, options in _formats(name, picture, rng):
            files[f"{name} {image_format} {len(files)}"] = _saved(picture, image_format, options)
    for name in ("gray", "palette"):
        files[f"{name} PNG rotated"] = _saved(pictures[name], "PNG", {"exif": exif})
        files[f"{name} TIFF rotated"] = _saved(pictures[name], "TIFF", {"exif": exif})
        files[f"{name} PNG transparent"] = _saved(pictures[name], "PNG", {"transparency": int(rng.integers(0, 3))})
        files[f"{name} pages"] = _saved(pictures[name], "TIFF", {"save_all": True, "append_images": [gray]})
        files[f"{name} frames"] = _saved(pictures[name], "PNG", {"save_all": True, "append_images": [gray]})
    files["annotation"] = json.dumps({"shapes": [], "imageData": "AAAA"}).encode()
    files["empty"] = b""
    return files


def damaged_masks(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yields `count` files, and how each was made."""
    chance = random.Random(seed)
    files: dict[str, bytes] = {}
    for number in range(count):
        if number % 500 == 0:
            files = sound_files(np.random.default_rng(seed + number))
        name = chance.choice(list(files))
        data = files[name]
        kind = chance.choice(("sound", "flipped", "cut", "noise", "repeated", "png chunk", "png pixels"))
        yield kind, _damaged(chance, kind, data)


def _formats(name: str, picture: Image.Image, rng: np.random.Generator) -> list[tuple[str, dict[str, object]]]:
    formats: list[tuple[str, dict[str, object]]] = []
    if name not in ("float", "int"):
        formats.append(("PNG", {}))
    if name not in ("deep", "int", "float", "gray with alpha"):
        formats.append(("BMP", {}))
    compression = str(rng.choice(["raw", "tiff_lzw", "tiff_deflate", "packbits"]))
    formats.append(("TIFF", {"compression": compression}))
    if picture.mode in ("RGB", "RGBA"):
        formats += [("WEBP", {"lossless": True}), ("WEBP", {"quality": 70})]
    if picture.mode in ("L", "RGB"):
        formats.append(("JPEG", {}))
        formats.append(("TIFF", {"compression": "jpeg"}))
    return formats


def _saved(picture: Image.Image, image_format: str, options: dict) -> bytes:
    content = io.BytesIO()
    picture.save(content, image_format, **options)
    return content.getvalue()


def _damaged(chance: random.Random, kind: str, data: bytes) -> bytes:
    if kind == "sound" or not data:
        return data
    if kind == "cut":
        return data[: chance.randrange(len(data))]
    if kind.startswith("png") and data.startswith(_PNG_START):
        return _changed_png(chance, data, pixels=kind == "png pixels")
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        place = chance.randrange(len(changed))
        if kind == "noise":
            changed[place : place + 8] = chance.randbytes(8)
        elif kind == "repeated":
            start = chance.randrange(len(changed))
            changed[place:place] = changed[start : start + 16]
        else:
            changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _changed_png(chance: random.Random, data: bytes, *, pixels: bool) -> bytes:
    """Changes a chunk of a PNG, and its checksum with it, so that the decoder goes on to what the chunk says."""
    chunks, position = [], len(_PNG_START)
    while position + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, position)
        chunks.append((data[position + 4 : position + 8], bytearray(data[position + 8 : position + 8 + size])))
        position += size + 12
    wanted = [index for index, (name, body) in enumerate(chunks) if body and (name == b"IDAT") == pixels]
    if wanted:
        index = chance.choice(wanted)
        name, body = chunks[index]
        if pixels:
            try:
                body = bytearray(zlib.decompress(bytes(body)))
            except zlib.error:
                return data
        body[chance.randrange(len(body))] = chance.randrange(256)
        chunks[index] = (name, bytearray(zlib.compress(bytes(body)))) if pixels else (name, body)
    if chance.random() < 0.1:
        del chunks[chance.randrange(len(chunks))]
    parts = [_PNG_START]
    for name, body in chunks:
        parts.append(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))
    return b"".join(parts)
