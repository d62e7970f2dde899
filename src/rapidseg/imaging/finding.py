"""Resolves files, folders and globs to image files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidseg.core.errors import InputError
from rapidseg.imaging.folders import Skipped, is_hidden, is_unread_picture, list_folder, walk_folders

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff")

_DEEP = "**"  # in a glob: any number of folders


@dataclass(frozen=True)
class FoundImages:
    """Image files, and what the search passed over.

    Attributes:
        paths: without duplicates, in the order of the entries, each entry sorted.
        skipped: what was passed over, by entry; entries that were taken whole are absent.
    """

    paths: tuple[Path, ...]
    skipped: dict[str, Skipped]

    def notes(self) -> list[str]:
        """Returns a sentence for each entry of which something was passed over."""
        return [
            f"not segmented in {entry}: {skipped}{_advice(entry, skipped)}" for entry, skipped in self.skipped.items()
        ]


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Returns the image files that `paths` match, as `search_images` does."""
    return list(search_images(paths).paths)


def search_images(paths: Iterable[str | os.PathLike[str]]) -> FoundImages:
    """Finds the image files that `paths` match.

    A file is accepted whatever its suffix. A folder matches the image files directly in it, by suffix; hidden files are
    skipped. Anything else is a glob; `**` matches subfolders, each once, without hidden ones and those of the system.

    Raises:
        InputError: an entry matches no image file, or a folder cannot be listed.
    """
    images: dict[Path, None] = {}
    skipped: dict[str, Skipped] = {}
    for entry in [os.fspath(path) for path in paths]:
        try:
            found, passed_over = _matches(entry)
        except OSError as error:
            raise InputError(f"{entry}: cannot be opened ({error.strerror or error})") from error
        images.update(dict.fromkeys(found))
        if passed_over:
            skipped[entry] = passed_over
    return FoundImages(tuple(images), skipped)


def _matches(entry: str) -> tuple[list[Path], Skipped]:
    if not entry.strip():
        raise InputError("the name of an image or folder is empty; pass . for the current folder")
    path = Path(entry)
    if path.is_dir():
        return _in_folder(path, entry)
    if path.exists():  # before the glob: file names may contain brackets
        return [path], Skipped()
    if path.is_symlink():
        raise InputError(f"{entry}: this link leads to nothing ({os.readlink(path)}); correct or remove it")
    if not glob.has_magic(entry):
        raise InputError(f"{entry}: no such file or folder")
    matches = sorted(set(_expand(Path(path.anchor), path.parts[1:] if path.anchor else path.parts)))
    files = [file for file in matches if _is_image(file)]
    skipped = Skipped()
    for file in matches:
        if is_unread_picture(file.name) and file.is_file():
            skipped.add_file(file.name)
    if not files:
        others = f"; skipped: {skipped}" if skipped else ""
        raise InputError(
            f"{entry}: this pattern matches no image file ({', '.join(IMAGE_SUFFIXES)}){others}"
            f"{_advice(entry, skipped)}"
        )
    return files, skipped


def _in_folder(path: Path, entry: str) -> tuple[list[Path], Skipped]:
    folder, skipped, files = list_folder(path), Skipped(), []
    skipped.subfolders = len(folder.folders)
    for name in folder.files:
        if _is_image(path / name):
            files.append(path / name)
        elif not (path / name).exists():
            skipped.broken_links += 1
        else:
            skipped.add_file(name)
    if not files:
        others = f"it contains {skipped}" if skipped else "it is empty"
        raise InputError(
            f"{entry}: no image files directly in this folder ({', '.join(IMAGE_SUFFIXES)}); "
            f"{others}{_advice(entry, skipped)}"
        )
    return files, skipped


def _advice(entry: str, skipped: Skipped) -> str:
    """Returns `; ` and what to do to have the skipped files segmented; empty for nothing."""
    advice = []
    if any(is_unread_picture(f"x.{name}") for name in skipped.formats):
        advice.append("convert pictures to JPEG or PNG")
    if skipped.subfolders:
        advice.append(f"to search subfolders, pass '{Path(entry) / _DEEP / '*'}'")
    return f"; {'; '.join(advice)}" if advice else ""


def _expand(base: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yields what a glob matches below a folder; `glob` itself follows links in circles."""
    if _DEEP not in parts:
        for match in glob.glob(os.path.join(*parts) if parts else "*", root_dir=base):
            found = Path(match).parts
            literal = [part == name for part, name in zip(parts, found, strict=False)]
            if all(same or not is_hidden(name) for same, name in zip(literal, found, strict=False)):
                yield base / match
        return
    deep = parts.index(_DEEP)
    heads = _expand(base, parts[:deep]) if deep else [base]
    for head in heads:
        if head.is_dir():
            for folder in walk_folders(head):
                yield from _expand(folder.path, parts[deep + 1 :])


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
