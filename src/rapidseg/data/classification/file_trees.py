"""A folder or a zip file as a tree of files. A zip file is read in place and never extracted.

Paths inside a tree are relative, with forward slashes; `""` is the top. Both kinds hold no open file, so they can be
pickled and used by any number of threads and processes.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from rapidseg.core.errors import DatasetError, ImageError, InputError
from rapidseg.imaging import IMAGE_SUFFIXES, decode_image, read_image
from rapidseg.imaging.folders import is_hidden, list_folder, walk_folders

_ARCHIVE_SUFFIXES = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_ENCRYPTED = 0x1  # flag of a zip member
_LOCAL_HEADER_SIZE = 30  # bytes before a member's name; the lengths of name and extra field are the last four


class Entries(NamedTuple):
    """Sorted names of the entries of a folder, except hidden files."""

    folders: tuple[str, ...]
    files: tuple[str, ...]

    def images(self) -> tuple[str, ...]:
        return tuple(name for name in self.files if is_image(name))


class FileTree(Protocol):
    """The files below a folder, or in a zip file."""

    path: Path

    def entries(self, folder: str = "") -> Entries:
        """Lists a folder of the tree; a missing one is empty."""

    def find_images(self, folder: str = "") -> list[str]:
        """Returns the sorted paths of the image files at any depth below a folder of the tree."""

    def read_bytes(self, file: str) -> bytes:
        """Reads a file.

        Raises:
            DatasetError: it cannot be read, or its checksum differs.
        """

    def read_image(self, file: str) -> np.ndarray:
        """Reads an image as (H, W, 3) uint8 RGB.

        Raises:
            ImageError: it cannot be read, or its checksum differs.
        """


def open_tree(root: str | os.PathLike[str]) -> FileTree:
    """Opens a folder or a zip file.

    Raises:
        DatasetError: it is missing, neither of the two, or a damaged or encrypted zip file.
    """
    path = Path(root)
    if path.is_dir():
        return FolderTree(path)
    if not path.exists():
        raise DatasetError(f"{path}: no such folder or zip file; pass the folder or the .zip that contains the images")
    if path.suffix.lower() in _ARCHIVE_SUFFIXES:
        raise DatasetError(f"{path}: only folders and .zip files are read; extract this archive and pass its folder")
    return ZipTree(path)


def join(folder: str, name: str) -> str:
    """Returns the path of an entry of a folder of a tree."""
    return f"{folder}/{name}" if folder else name


def is_image(name: str) -> bool:
    """Returns whether a file name has the suffix of an image file."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


class FolderTree:
    """A folder on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self, folder: str = "") -> Entries:
        if not os.path.isdir(self.path / folder):
            return Entries((), ())
        try:
            listed = list_folder(self.path / folder)
        except InputError as error:
            raise DatasetError(str(error)) from error
        return Entries(listed.folders, listed.files)

    def find_images(self, folder: str = "") -> list[str]:
        top = self.path / folder
        if not os.path.isdir(top):
            return []
        try:
            return sorted(
                (found.path / name).relative_to(self.path).as_posix()
                for found in walk_folders(top)
                for name in found.files
                if is_image(name)
            )
        except InputError as error:
            raise DatasetError(str(error)) from error

    def read_bytes(self, file: str) -> bytes:
        try:
            return (self.path / file).read_bytes()
        except OSError as error:
            raise DatasetError(f"{self.path / file}: cannot be read ({error.strerror})") from error

    def read_image(self, file: str) -> np.ndarray:
        return read_image(self.path / file)


class _Member(NamedTuple):
    """Location of a file in a zip file; sizes in bytes."""

    offset: int
    stored_size: int
    is_deflated: bool
    checksum: int


class ZipTree:
    """A zip file with stored or deflated members.

    Each read opens the zip file anew: that costs less than decoding the smallest image, and threads and forked
    processes share no file position.

    Raises:
        DatasetError: the file is not a zip file, damaged, encrypted, or compressed in another way.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: dict[str, _Member] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                infos = archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise DatasetError(
                f"{path}: not a zip file, or a damaged one ({error}); copy or download it again, or pass a folder"
            ) from error
        for info in infos:
            parts = [part for part in info.filename.replace("\\", "/").split("/") if part not in ("", ".")]
            if info.is_dir() or not parts or any(map(is_hidden, parts)):
                continue
            if info.flag_bits & _ENCRYPTED or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DatasetError(
                    f"{path}: {info.filename} is encrypted, or compressed in another way than by deflate; extract the "
                    "zip file and pass its folder"
                )
            is_deflated = info.compress_type == zipfile.ZIP_DEFLATED
            member = _Member(info.header_offset, info.compress_size, is_deflated, info.CRC)
            self._members["/".join(parts)] = member
        self._entries = _index_folders(self._members)

    def entries(self, folder: str = "") -> Entries:
        return self._entries.get(folder, Entries((), ()))

    def find_images(self, folder: str = "") -> list[str]:
        return sorted(self._walk(folder))

    def read_bytes(self, file: str) -> bytes:
        content = self._read(file)
        if isinstance(content, str):
            raise DatasetError(f"{self.path / file}: {content}; copy or download the zip file again")
        return content

    def read_image(self, file: str) -> np.ndarray:
        content = self._read(file)
        if isinstance(content, str):
            raise ImageError(f"{self.path / file}: {content}; copy or download the zip file again")
        if not content:
            raise ImageError(f"{self.path / file}: the file is empty")
        return decode_image(content, str(self.path / file))

    def _walk(self, folder: str) -> Iterator[str]:
        entries = self.entries(folder)
        for name in entries.images():
            yield join(folder, name)
        for name in entries.folders:
            yield from self._walk(join(folder, name))

    def _read(self, file: str) -> bytes | str:
        """Returns the content of a member, or what is wrong with it."""
        member = self._members[file]
        try:
            with open(self.path, "rb", buffering=0) as archive:
                archive.seek(member.offset)
                header = archive.read(_LOCAL_HEADER_SIZE)
                name_size, extra_size = np.frombuffer(header, "<u2", 2, _LOCAL_HEADER_SIZE - 4)
                archive.seek(member.offset + _LOCAL_HEADER_SIZE + int(name_size) + int(extra_size))
                content = archive.read(member.stored_size)
            if member.is_deflated:
                content = zlib.decompress(content, -zlib.MAX_WBITS)
        except (OSError, ValueError, zlib.error) as error:
            return f"cannot be read from the zip file ({error})"
        return content if zlib.crc32(content) == member.checksum else "damaged in the zip file (its checksum differs)"


def _index_folders(files: dict[str, _Member]) -> dict[str, Entries]:
    """Returns what is directly in each folder."""
    folders: dict[str, tuple[set[str], list[str]]] = {"": (set(), [])}
    for file in files:
        folder, _, name = file.rpartition("/")
        if folder not in folders:
            parent = ""
            for part in folder.split("/"):
                folders[parent][0].add(part)
                parent = join(parent, part)
                folders.setdefault(parent, (set(), []))
        folders[folder][1].append(name)
    return {path: Entries(tuple(sorted(below)), tuple(sorted(names))) for path, (below, names) in folders.items()}
