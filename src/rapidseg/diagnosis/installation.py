"""Versions of the installed packages, and which extras are complete."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from rapidseg.core.extras import base_packages, install_command, missing_extra, packages_by_extra


@dataclass(frozen=True)
class Extra:
    """An extra of RapidSeg.

    Attributes:
        name: such as "export".
        missing: its packages that are not installed.
    """

    name: str
    missing: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command that installs it."""
        return install_command(self.name)


def find_version(name: str) -> str | None:
    """Returns the version of an installed package, by the name that pip knows; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def find_versions() -> dict[str, str | None]:
    """Returns the version of each package that RapidSeg and its extras use; None for those that are not installed."""
    names = [*base_packages(), *(name for packages in packages_by_extra().values() for name in packages)]
    return {name: find_version(name) for name in dict.fromkeys(names)}


def find_missing() -> dict[str, tuple[str, ...]]:
    """Returns the optional packages that are not installed, each once: below the smallest extra that installs it."""
    missing: dict[str, list[str]] = {}
    for package in dict.fromkeys(name for extra in find_extras() for name in extra.missing):
        missing.setdefault(missing_extra(package), []).append(package)
    return {extra: tuple(packages) for extra, packages in missing.items()}


def find_extras() -> tuple[Extra, ...]:
    """Returns the extras of RapidSeg; those for its developers are skipped."""
    return tuple(
        Extra(extra, tuple(name for name in packages if find_version(name) is None))
        for extra, packages in packages_by_extra().items()
    )
