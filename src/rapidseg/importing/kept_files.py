"""Downloaded files that are kept, by what name, and what is said where a file is missing and downloads are off."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pooch

from rapidseg.core.errors import InputError, ModelFileError
from rapidseg.importing.web_requests import Bearer, Explain
from rapidseg.system.cache import cache_root
from rapidseg.zoo import published_models

FOLDER = "downloads"  # in the cache

# OpenMMLab and PyTorch end the names of published files with the first 8 digits of their SHA-256.
_NAMED_DIGITS = re.compile(r"-([0-9a-f]{8})\.(?:pth|pt|ckpt|safetensors)$")
_ON, _OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server.

    Attributes:
        url: from which it is downloaded.
        expected: the first digits of its SHA-256; None if unknown.
        address: under which it is kept; empty: the URL.
        size: its bytes; None if unknown.
        auth: what the server wants to see; never sent to another host.
        explain: what the server's refusals mean.
    """

    url: str
    expected: str | None = None
    address: str = ""
    size: int | None = None
    auth: Bearer | None = None
    explain: Explain | None = None

    @property
    def name(self) -> str:
        """The name under which it was published."""
        return Path(unquote(urlsplit(self.url).path)).name or "file"

    @property
    def is_published(self) -> bool:
        """Whether it is the file of a published model, with the SHA-256 that the package knows."""
        models = published_models().values()
        return any((self.url, self.expected) == (file.url, file.sha256_prefix) for m in models for file in m.weights)

    @property
    def plain_name(self) -> str:
        """The name without characters that a file system or a terminal might take for something else."""
        return re.sub(r"[^A-Za-z0-9._-]", "_", self.name)

    @property
    def kept_name(self) -> str:
        """The name under which it is kept.

        It begins with 12 digits that stand for the address, since two sites may use the same name for different files.
        """
        return f"{address_digits(self.address or self.url)}-{self.plain_name}"


def address_digits(address: str) -> str:
    """Returns 12 digits that stand for an address in names of files."""
    return hashlib.sha256(address.encode()).hexdigest()[:12]


def find_kept(file: RemoteFile) -> tuple[Path | None, list[str]]:
    """Looks for a file in the folder of downloads, without a request.

    A file that the user put there under its published name is used only if its SHA-256 is known and correct.

    Returns:
        The file, or None; and what is wrong with files of the right name that are not used, a sentence each.
    """
    folder = downloads_folder()
    names = [file.kept_name] + [file.name] * (file.expected is not None)
    problems: list[str] = []
    for path in [] if folder is None else [folder / name for name in names]:
        if not path.is_file():
            continue
        actual = pooch.file_hash(str(path)) if file.expected is not None else ""
        if file.expected is None or actual.startswith(file.expected):
            return path, problems
        problems.append(f"{path} is not used: its SHA-256 is {actual}, which does not begin with {file.expected}")
    return None, problems


def downloads_folder() -> Path | None:
    """Returns the folder of downloads, which may not exist; None where the user has no home folder."""
    try:
        return cache_root() / FOLDER
    except RuntimeError:
        return None


def offline_reason(offline: bool) -> str | None:
    """Returns what turned downloads off: the caller, or `RAPIDSEG_OFFLINE` in the environment. None: they are on.

    Raises:
        InputError: the variable is neither on nor off.
    """
    if offline:
        return "--offline, or download=False"
    value = os.environ.get("RAPIDSEG_OFFLINE", "").strip()
    if value.lower() in _OFF:
        return None
    if value.lower() not in _ON:
        raise InputError(f"RAPIDSEG_OFFLINE is {value!r}; set it to 1 to turn downloads off, or to 0 to allow them")
    return f"RAPIDSEG_OFFLINE={value}"


def offline_error(file: RemoteFile, reason: str, problems: list[str]) -> ModelFileError:
    """Returns the error about a file that is not kept, where downloads are off: where to put it, and as what.

    Args:
        file: which is not kept.
        reason: what `offline_reason` returned.
        problems: what `find_kept` returned.
    """
    folder = downloads_folder()
    name = file.kept_name if file.expected is None else file.name
    advice = f"put it in {folder} as {name}" if folder is not None else "pass its path"
    unused = "".join(f". {problem}" for problem in problems)
    return ModelFileError(
        f"{file.url} is not downloaded, and downloads are off ({reason}); download it on another machine and {advice}, "
        f"or allow downloads{unused}"
    )


def expected_digits(url_path: str, sha256: str | None) -> str | None:
    """Returns the first digits of the expected SHA-256, if any are known.

    Args:
        url_path: whose end may have 8 digits, such as `resnet50-0676ba61.pth`.
        sha256: what the user passed, which comes first.

    Raises:
        InputError: `sha256` is not a hash.
    """
    if sha256 is None:
        named = _NAMED_DIGITS.search(url_path)
        return named[1] if named else None
    digits = sha256.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{8,64}", digits):
        raise InputError(f"{sha256!r} is not a SHA-256; pass its 64 hex digits, or the first 8 or more of them")
    return digits
