"""Whether the packages that prediction uses can be imported, and what to do where one cannot."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from rapidseg.core.extras import (
    DISTRIBUTIONS,
    find_distribution,
    install_hint,
    is_installed,
    missing_extra,
    repair_hint,
)
from rapidseg.diagnosis.installation import find_version

REQUIRED = ("openvino", "llvmlite", "numba", "cv2", "PIL")
OPTIONAL = ("onnxruntime", "torch")


@dataclass(frozen=True)
class Problem:
    """Something that does not work.

    Attributes:
        check: what was checked, such as "openvino".
        message: what is wrong.
        advice: what to do about it.
        required: whether prediction needs it.
    """

    check: str
    message: str
    advice: str
    required: bool


def check_packages() -> tuple[Problem, ...]:
    """Imports each package; optional ones only where they are installed."""
    problems = [_check(package, required=True) for package in REQUIRED]
    problems += [_check(package, required=False) for package in OPTIONAL]
    return tuple(problem for problem in problems if problem is not None)


def check_metadata() -> tuple[Problem, ...]:
    """Checks that pip knows RapidSeg itself."""
    if find_distribution() is not None:
        return ()
    message = "the metadata of the installed RapidSeg is missing, so the list of extras may be incomplete"
    return (Problem("metadata", message, install_hint(), required=False),)


def describe_error(error: BaseException) -> str:
    """Returns an error's type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _check(package: str, *, required: bool) -> Problem | None:
    version = find_version(DISTRIBUTIONS.get(package, package))
    installed = version is not None or is_installed(package)
    if not installed and not required:
        return None
    try:
        importlib.import_module(package)
    except Exception as error:  # broken binaries raise errors of many kinds
        if not installed:
            return Problem(package, f"{package} is not installed", install_hint(missing_extra(package)), required)
        name = package if version is None else f"{package} {version}"
        message = f"{name} is installed but cannot be imported: {describe_error(error)}"
        return Problem(package, message, repair_hint(package), required)
    return None
