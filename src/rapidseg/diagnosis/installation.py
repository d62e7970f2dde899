"""What is installed, and which extras would bring the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata

PACKAGE = "rapidseg"
_BASE = ("numpy", "opencv-python-headless", "pillow", "openvino", "numba", "pydantic", "PyYAML", "typer", "rich")
_INTERNAL = ("test", "dev")  # extras for those who work on the package itself


@dataclass(frozen=True)
class Extra:
    """An extra of this package.

    Attributes:
        name: as in `rapidseg[NAME]`.
        missing: packages of it that are not installed.
    """

    name: str
    missing: tuple[str, ...]

    @property
    def command(self) -> str:
        """What installs it."""
        return f"pip install '{PACKAGE}[{self.name}]'"


def find_version(name: str) -> str | None:
    """Returns the version of an installed distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def find_versions() -> dict[str, str | None]:
    """Returns the versions of what the package needs or can use; None for what is not installed."""
    names = dict.fromkeys([*_BASE, *(name for extra in find_extras() for name in _packages(extra.name))])
    return {name: find_version(name) for name in names}


def find_extras() -> tuple[Extra, ...]:
    """Returns the extras that the package declares, but for those of its developers."""
    declared = metadata.metadata(PACKAGE).get_all("Provides-Extra") or []
    return tuple(
        Extra(name, tuple(package for package in _packages(name) if find_version(package) is None))
        for name in declared
        if name not in _INTERNAL
    )


def _packages(extra: str) -> list[str]:
    """Returns what an extra brings, through the extras of this package that it names."""
    found: list[str] = []
    for requirement in metadata.requires(PACKAGE) or []:
        stated = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", requirement)
        if stated is None or stated[1] != extra:
            continue
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name is not None  # a requirement begins with a name
        if name[0].lower() != PACKAGE:
            found.append(name[0])
            continue
        inner = re.match(r"[^\[]*\[([^\]]*)\]", requirement)
        for part in inner[1].split(",") if inner else ():
            found += _packages(part.strip())
    return list(dict.fromkeys(found))
