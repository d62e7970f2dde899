"""What to tell users when a package that RapidSeg needs is missing, or fails while it is imported.

Broken packages raise errors of any type: ImportError, OSError for a missing library, AttributeError or TypeError where
versions do not fit. So a failed import is recognized by its traceback, not by its type. Nothing here imports a
third-party package, because each of them may be the broken one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType

from rapidseg.core.errors import DependencyError, RapidSegError
from rapidseg.core.extras import (
    BASE_PACKAGES,
    DISTRIBUTIONS,
    EXTRAS,
    PACKAGE,
    install_hint,
    is_installed,
    is_known_to_pip,
    missing_extra,
    repair_hint,
)

SEE_DOCTOR = " (`rapidseg doctor` checks the whole installation)"


@contextlib.contextmanager
def explained_imports(extra: str | None = None) -> Iterator[None]:
    """Turns errors inside the block about packages that are missing or broken into a `DependencyError`.

    Args:
        extra: as for `dependency_error`.

    Raises:
        DependencyError: a package could not be imported; the cause is the original error.
    """
    try:
        yield
    except RapidSegError:
        raise
    except Exception as error:
        problem = dependency_error(error, extra)
        if problem is None:
            raise
        raise problem from error


def dependency_error(error: BaseException, extra: str | None = None) -> DependencyError | None:
    """Returns an error for users in place of one that was raised because a package is missing or broken.

    Args:
        error: what was raised, of any type, with its traceback.
        extra: the extra that the job needs, where the caller knows it; None: the smallest that installs the package.

    Returns:
        An error that names the package and says what to run; None where no package that RapidSeg needs failed during
        its import, so that it is our own mistake.
    """
    if isinstance(error, DependencyError):
        return error
    package = failed_package(error)
    if package is None:
        return None
    if isinstance(error, ModuleNotFoundError) and _top(error.name) == package and not is_installed(package):
        if missing_extra(package) == "" and is_known_to_pip(package):  # pip would not install it again
            return DependencyError(f"files of {package} are missing; {repair_hint(package)}{SEE_DOCTOR}", package)
        extra = missing_extra(package) if extra is None else extra
        return DependencyError(f"{package} is not installed; {install_hint(extra)}", package)
    return DependencyError(
        f"{package} is installed but cannot be imported: {describe_error(error)}; {repair_hint(package)}{SEE_DOCTOR}",
        package,
    )


def failed_package(error: BaseException) -> str | None:
    """Returns the package whose import failed, by the name to import; None if it is not one that RapidSeg needs.

    Where one package imports another, it is the innermost one: of a broken NumPy, NumPy rather than OpenVINO.
    """
    named = _top(error.name) if isinstance(error, ImportError) else ""
    if isinstance(error, ModuleNotFoundError) and _is_needed(named) and not is_installed(named):
        return named
    module = error.obj if isinstance(error, AttributeError) else sys.modules.get(named)
    if isinstance(module, ModuleType) and is_hollow(module) and _is_needed(_top(module.__name__)):
        return _top(module.__name__)
    if isinstance(error, SyntaxError) and (owner := _owner(error.filename)) is not None:
        return owner
    importing = [package for package in _imported_in(error.__traceback__) if _is_needed(package)]
    if importing:
        return importing[-1]
    return named if _is_needed(named) else None


def is_hollow(module: ModuleType) -> bool:
    """Returns whether a module has no code: Python imports folders that lost their files without complaint."""
    return getattr(module, "__file__", None) is None and module.__name__ not in sys.builtin_module_names


def describe_error(error: BaseException) -> str:
    """Returns an error's type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _top(name: str | None) -> str:
    return (name or "").partition(".")[0]


def _is_needed(package: str) -> bool:
    if package in ("", PACKAGE):
        return False
    try:
        missing_extra(package)
    except LookupError:
        return False
    return True


def _imported_in(traceback: TracebackType | None) -> Iterator[str]:
    """Yields the package of each module whose code was being run, from the outermost to the innermost."""
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_name == "<module>":
            yield _top(frame.f_globals.get("__name__"))
        traceback = traceback.tb_next


def _owner(file: str | None) -> str | None:
    """Returns the package that a source file belongs to: a file with a syntax error is in no traceback."""
    if file is None:
        return None
    by_distribution = {distribution: name for name, distribution in DISTRIBUTIONS.items()}
    names = dict.fromkeys((*BASE_PACKAGES, *(name for names in EXTRAS.values() for name in names)))
    for package in (*(by_distribution.get(name, name) for name in names), "llvmlite"):
        spec = importlib.util.find_spec(package) if is_installed(package) else None
        if spec is not None and (
            spec.origin == file
            or any(Path(file).is_relative_to(folder) for folder in spec.submodule_search_locations or ())
        ):
            return package
    return None
