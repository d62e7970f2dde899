"""What the operating system refuses, in words: which file, why, and what to do."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from rapidseg.core.errors import RapidSegError
from rapidseg.core.printable import shortened

# What to do about a file that cannot be written, by the number of the operating system's error.
_WRITE_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free disk space, or choose a path on another disk"),
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`), or choose a path on another disk",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "change the permissions, or choose a folder that you can write to"),
    errno.EROFS: "choose a path on a disk that can be written to",
    errno.EISDIR: "choose a file name that is not taken by a folder",
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "a part of the path is a file, not a folder: choose another path"),
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "the path has links that lead in a circle: remove one of them",
}

# What to do where nothing says whether the file was to be read or written.
_ADVICE = {
    **_WRITE_ADVICE,
    **dict.fromkeys((errno.EACCES, errno.EPERM), "change the permissions of it and of the folders above it"),
    errno.EISDIR: "pass a file, not a folder",
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "a part of the path is a file, not a folder: correct the path"),
    errno.ENAMETOOLONG: "shorten the path",
    errno.ENOENT: "correct the path",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "too many files are open: raise the limit with `ulimit -n`"),
    errno.EIO: "the disk or the network drive reports an error: check it, or copy the files to another one",
    errno.ENOMEM: "free memory, and run it again",
}

_GONE = "the current folder no longer exists; change to another one with `cd`"


def write_error(path: str | os.PathLike[str], error: OSError) -> RapidSegError:
    """Returns the error for users about a file or folder that cannot be written; its advice depends on the cause."""
    if _is_current_folder_gone(error):
        return RapidSegError(f"cannot write {shortened(path)}: {_GONE}")
    advice = _WRITE_ADVICE.get(error.errno or 0, "choose another path")
    return RapidSegError(f"cannot write {shortened(path)}: {error.strerror or error}; {advice}")


def explain_error(error: BaseException) -> str | None:
    """Returns the message for users about an error that is not a fault of the program.

    Args:
        error: of the operating system, of text that cannot be encoded, or of nesting that is too deep.

    Returns:
        One sentence; None for an error of another kind.
    """
    if isinstance(error, OSError):
        return _explain_os_error(error)
    if isinstance(error, UnicodeError):
        return f"a file or its name contains text that is not valid ({error}); save it as UTF-8, or rename it"
    if isinstance(error, RecursionError):
        return "a file is nested too deeply to be read; pass another one"
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return "a path begins with ~, but the home folder is not known here; pass the whole path"
    if isinstance(error, ValueError) and "embedded null" in str(error):
        return "a path contains a NUL character; correct the path"
    return None


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Tells whether a path is a folder; unlike `os.path.isdir`, a path that may not be looked at is an error.

    Raises:
        PermissionError: a folder above it is closed to this user.
    """
    return _has_kind(path, stat.S_ISDIR)


def is_file(path: str | os.PathLike[str]) -> bool:
    """Tells whether a path is a regular file; raises what `is_folder` raises."""
    return _has_kind(path, stat.S_ISREG)


def current_folder_problem() -> str | None:
    """Returns what is wrong with the current folder, in one sentence; None where it exists."""
    try:
        Path.cwd()
    except OSError:
        return _GONE
    return None


def _has_kind(path: str | os.PathLike[str], is_kind: Callable[[int], bool]) -> bool:
    try:
        return is_kind(os.stat(path).st_mode)
    except PermissionError:
        raise
    except (OSError, ValueError):  # ValueError: a null character
        return False


def _explain_os_error(error: OSError) -> str:
    if _is_current_folder_gone(error):
        return _GONE
    reason = error.strerror or str(error) or type(error).__name__
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    where = f"cannot use {' and '.join(map(shortened, names))}: " if names else ""
    advice = _ADVICE.get(error.errno or 0)
    return f"{where}{reason}; {advice}" if advice else f"{where}{reason}"


def _is_current_folder_gone(error: OSError) -> bool:
    return error.errno == errno.ENOENT and current_folder_problem() is not None
