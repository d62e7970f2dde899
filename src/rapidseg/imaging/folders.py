"""Walks folders of images and masks: one walk for every command.

Each folder is entered once, also where links lead to it again or in a circle. Hidden folders and those that systems and
tools keep for themselves are skipped. What is skipped is counted, so that callers can say so.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rapidseg.core.errors import InputError
from rapidseg.core.wording import count_of

# Folders of systems and tools, in lower case; those that begin with a dot are hidden anyway.
_SYSTEM_NAMES = frozenset(
    {
        "@eadir",  # thumbnails of Synology
        "#recycle",
        "#snapshot",
        "@recycle",
        "@tmp",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "__macosx",  # copies of file attributes in zip files of macOS
        "__pycache__",
    }
)
_PICTURE_SUFFIXES = frozenset(
    {
        ".3fr",
        ".arw",
        ".avif",
        ".cr2",
        ".cr3",
        ".dng",
        ".eps",
        ".exr",
        ".gif",
        ".hdr",
        ".heic",
        ".heif",
        ".ico",
        ".j2k",
        ".jp2",
        ".jxl",
        ".jxr",
        ".nef",
        ".orf",
        ".pcx",
        ".pgm",
        ".ppm",
        ".psd",
        ".raf",
        ".raw",
        ".rw2",
        ".svg",
        ".tga",
        ".xcf",
    }
)  # of formats that are not read
_MAX_SHOWN = 5  # suffixes that a message names


def is_hidden(name: str) -> bool:
    """Tells whether a file or folder of this name is hidden, or kept by a system or tool for itself."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def is_unread_picture(name: str) -> bool:
    """Tells whether a file name has the suffix of a picture in a format that is not read, such as HEIC."""
    return os.path.splitext(name)[1].lower() in _PICTURE_SUFFIXES


@dataclass
class Skipped:
    """Counts what a search passed over.

    Attributes:
        formats: number of files of other formats, by suffix in capitals without its dot; empty for none.
        subfolders: number of folders that were not searched.
        broken_links: number of links to nothing.
    """

    formats: Counter[str] = field(default_factory=Counter)
    subfolders: int = 0
    broken_links: int = 0

    def add_file(self, name: str) -> None:
        """Counts a file of another format."""
        self.formats[os.path.splitext(name)[1].removeprefix(".").upper()] += 1

    def add(self, other: Skipped) -> None:
        """Adds the counts of another search."""
        self.formats += other.formats
        self.subfolders += other.subfolders
        self.broken_links += other.broken_links

    def __bool__(self) -> bool:
        return bool(self.formats or self.subfolders or self.broken_links)

    def __str__(self) -> str:
        """`3 files of other formats (HEIC, AVIF, GIF), 1 subfolder`."""
        parts = []
        if number := self.formats.total():
            names = [name or "no suffix" for name, _ in self.formats.most_common()]
            shown = ", ".join(names[:_MAX_SHOWN]) + (", ..." if len(names) > _MAX_SHOWN else "")
            parts.append(
                f"{count_of(number, 'file')} of {'another format' if number == 1 else 'other formats'} ({shown})"
            )
        if self.subfolders:
            parts.append(count_of(self.subfolders, "subfolder"))
        if self.broken_links:
            parts.append(count_of(self.broken_links, "broken link"))
        return ", ".join(parts)


@dataclass(frozen=True)
class Folder:
    """A folder on a walk.

    Attributes:
        path: as it was reached.
        files: sorted names of its files, and of links to files or to nothing; none of them hidden.
        folders: sorted names of its folders, and of links to folders; none of them hidden.
    """

    path: Path
    files: tuple[str, ...]
    folders: tuple[str, ...]


def list_folder(path: Path) -> Folder:
    """Lists a folder without what is hidden.

    Raises:
        InputError: it cannot be listed.
    """
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if not is_hidden(entry.name):
                    (folders if _is_folder(entry) else files).append(entry.name)
    except OSError as error:
        raise InputError(
            f"{path}: this folder cannot be listed ({error.strerror or error}); check its permissions, or remove it"
        ) from error
    return Folder(path, tuple(sorted(files)), tuple(sorted(folders)))


def walk_folders(root: Path, *, skip: Path | None = None) -> Iterator[Folder]:
    """Walks a folder and all folders below it, each once.

    Links to folders are followed after all other folders, so that a folder keeps its own name where a link leads to it
    as well. Links to the root or to a folder above it are not followed: they would lead back.

    Args:
        root: where to start.
        skip: a folder that is not entered, by whatever path it is reached.

    Raises:
        InputError: a folder cannot be listed.
    """
    above = {_identity(folder) for folder in (root, *Path(os.path.realpath(root)).parents)}
    seen = set() if skip is None else {_identity(skip)}
    waiting: deque[Path] = deque([root])
    links: deque[Path] = deque()
    while waiting or links:
        path = waiting.popleft() if waiting else links.popleft()
        identity = _identity(path)
        if identity in seen or (path is not root and identity in above):
            continue
        seen.add(identity)
        folder = list_folder(path)
        yield folder
        below = [path / name for name in folder.folders]
        links.extend(child for child in below if child.is_symlink())
        waiting.extend(child for child in below if not child.is_symlink())


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: Path) -> tuple[int, int] | str:
    """Returns what is equal for all paths of a folder."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    # Some file systems number no files.
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)
