"""Whether the packages that prediction uses can be imported, and what to do where one cannot."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rapidseg.core.extras import (
    DISTRIBUTIONS,
    find_distribution,
    has_requirements,
    install_hint,
    is_installed,
    is_known_to_pip,
    missing_extra,
    repair_hint,
)
from rapidseg.core.import_errors import describe_error, failed_package, is_hollow
from rapidseg.core.quiet import quiet_libraries
from rapidseg.diagnosis.installation import find_version

# By the names to import. A package comes after those that it imports itself, so that the cause is found first.
REQUIRED = (
    *("numpy", "PIL", "cv2", "llvmlite", "numba", "openvino", "yaml", "pydantic", "rich", "typer"),
    *("platformdirs", "packaging"),
)
OPTIONAL = ("onnxruntime", "torch")


@dataclass(frozen=True)
class Problem:
    """Something that does not work.

    Attributes:
        check: what was checked, such as "openvino".
        message: what is wrong.
        advice: what to do about it.
        required: whether prediction needs it.
        affected: packages that are in order but cannot be imported because of this problem.
    """

    check: str
    message: str
    advice: str
    required: bool
    affected: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {**asdict(self), "affected": list(self.affected)}


def check_packages() -> tuple[Problem, ...]:
    """Imports each package; optional ones only where they are installed.

    Returns:
        A problem for each package that is missing or broken itself; packages that only fail because they import such a
        package are listed as affected.
    """
    problems: dict[str, Problem] = {}
    for package in (*REQUIRED, *OPTIONAL):
        if package in OPTIONAL and not is_known_to_pip(package) and not is_installed(package):
            continue
        try:
            with quiet_libraries(ignored_warnings=[], stdout=True, stderr=True):  # some print why they fail
                module = importlib.import_module(package)
            if is_hollow(module):
                raise ImportError("files of the package are missing", name=package)
        except Exception as error:  # broken packages raise errors of any type
            cause = _named_in(error, problems) or failed_package(error) or package
            if cause not in problems:
                required = package in REQUIRED or cause in REQUIRED
                problems[cause] = _describe(cause, error, required=required)
            if cause != package:
                affected = (*problems[cause].affected, package)
                problems[cause] = replace(problems[cause], affected=affected)
    return tuple(problems.values())


def check_metadata() -> tuple[Problem, ...]:
    """Checks that pip knows RapidSeg itself."""
    installed = find_distribution()
    if installed is not None and has_requirements(installed):
        return ()
    state = "missing" if installed is None else "damaged"
    message = f"the metadata of the installed RapidSeg is {state}, so the list of extras may be incomplete"
    return (Problem("metadata", message, install_hint(), required=False),)


def _named_in(error: Exception, packages: Iterable[str]) -> str | None:
    """Returns the package that a message names: compiled code says only in words which import failed in it."""
    return next((package for package in packages if re.search(rf"\b{package}\b", str(error))), None)


def _describe(package: str, error: Exception, *, required: bool) -> Problem:
    version = find_version(DISTRIBUTIONS.get(package, package))
    if version is None and not is_installed(package):
        return Problem(package, f"{package} is not installed", install_hint(missing_extra(package)), required)
    name = package if version is None else f"{package} {version}"
    if is_installed(package):
        message = f"{name} is installed but cannot be imported: {describe_error(error)}"
    else:
        message = f"files of {name} are missing"
    return Problem(package, message, repair_hint(package), required)
