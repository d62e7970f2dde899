"""Which extra of this package installs what, and the commands that install or repair packages.

The installed metadata says what each extra requires. If it cannot be read, for example because the sources run without
being installed, the tables here say it; a test compares them with pyproject.toml.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TYPE_CHECKING

from rapidseg.core.errors import DependencyError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PACKAGE = "rapidseg"

BASE_PACKAGES = (
    *("numpy", "opencv-python-headless", "pillow", "openvino", "numba", "pydantic", "PyYAML", "typer", "rich"),
    *("platformdirs", "packaging", "pooch", "requests", "filelock"),
)
_EXPORT = ("torch", "safetensors", "onnx", "onnxscript", "onnxruntime")
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "onnxruntime": ("onnxruntime",),
    "nvidia": ("torch", "onnx", "nvidia-ml-py"),
    "export": _EXPORT,
    "quantize": (*_EXPORT, "nncf"),
    "train": (*_EXPORT, "lightning", "tensorboard"),
    "report": ("jinja2", "matplotlib"),
    "hub": ("huggingface_hub",),
    "all": (*_EXPORT, "lightning", "tensorboard", "nvidia-ml-py", "nncf", "jinja2", "matplotlib", "huggingface_hub"),
}
"""The packages of each extra, by the names that pip knows; without the extras for developers of RapidSeg."""

INTERNAL_EXTRAS = ("test", "dev", "docs")  # for developers of RapidSeg

# Where the name to import is not the name that pip knows.
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "yaml": "PyYAML",
    "pynvml": "nvidia-ml-py",
}
_INSTALLED_WITH = {"llvmlite": "numba"}  # packages that RapidSeg uses, and that one of the base packages requires
_LAST_CHOICES = ("nvidia", "all")  # not for a job: named only for packages that no other extra installs, in this order


def missing_extra(package: str, installed: Distribution | None = None) -> str:
    """Returns the smallest extra that installs a package, or an empty text where the base install does.

    Args:
        package: the name to import, such as `torch` or `cv2`, or the name that pip knows.
        installed: whose metadata to read; None: that of the installed RapidSeg.

    Raises:
        LookupError: RapidSeg does not need such a package.
    """
    name = _normalize(DISTRIBUTIONS.get(package, _INSTALLED_WITH.get(package, package)))
    for base, extras in (
        (base_packages(installed), packages_by_extra(installed)),
        (BASE_PACKAGES, EXTRAS),  # the installed metadata may be older than the code
    ):
        if name in map(_normalize, base):
            return ""
        sizes = {
            extra: (_LAST_CHOICES.index(extra) if extra in _LAST_CHOICES else -1, len(packages))
            for extra, packages in extras.items()
            if name in map(_normalize, packages)
        }
        if sizes:
            return min(sizes, key=lambda extra: sizes[extra])
    raise LookupError(f"neither the base install nor an extra of {PACKAGE} installs {package}")


def install_command(extra: str = "") -> str:
    """Returns the command that installs an extra, to be run in the clone: the package is not on any index.

    Args:
        extra: its name; empty: the base install.
    """
    target = f"'.[{extra}]'" if extra else "."
    return f"pip install -c constraints.txt {target}"


def install_hint(extra: str = "") -> str:
    """Returns a part of a sentence that says where to run which command to install an extra."""
    return f"run in the clone of RapidSeg: {install_command(extra)}"


def repair_hint(package: str) -> str:
    """Returns a part of a sentence that says how to repair a package that is installed but cannot be imported."""
    name = DISTRIBUTIONS.get(package, package)
    return f"run in the clone of RapidSeg: pip install -c constraints.txt --force-reinstall {name}"


def require_extra(extra: str, *packages: str) -> None:
    """Checks that the packages of an extra are installed, without importing them: jobs call it before they begin.

    Args:
        extra: such as `train`.
        packages: those that the job needs, by the names to import; none: all of the extra.

    Raises:
        DependencyError: a package is missing; the message says which command installs the extra.
    """
    missing = [package for package in packages or EXTRAS[extra] if not is_installed(package)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise DependencyError(f"{', '.join(missing)} {verb} not installed; {install_hint(extra)}")


def is_installed(package: str) -> bool:
    """Returns whether a package can be found, without importing it; it may still be broken."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def is_known_to_pip(package: str) -> bool:
    """Returns whether pip has a record of a package, given by the name to import; its files may be missing."""
    try:
        return bool(distribution(DISTRIBUTIONS.get(package, package)))
    except PackageNotFoundError:
        return False


def packages_by_extra(installed: Distribution | None = None) -> Mapping[str, tuple[str, ...]]:
    """Returns the packages that each extra adds to the base install on this platform, by the names that pip knows.

    Extras for developers are skipped.

    Args:
        installed: as for `missing_extra`.
    """
    installed = installed or find_distribution()
    requirements = _read_requirements(installed)
    if installed is None or requirements is None:
        return EXTRAS
    names = installed.metadata.get_all("Provides-Extra") or []
    return {name: _packages(requirements, name) for name in names if name not in INTERNAL_EXTRAS}


def base_packages(installed: Distribution | None = None) -> tuple[str, ...]:
    """Returns the packages of the base install, by the names that pip knows; `installed` as for `missing_extra`."""
    requirements = _read_requirements(installed or find_distribution())
    return BASE_PACKAGES if requirements is None else _packages(requirements, "")


def find_distribution() -> Distribution | None:
    """Returns the installed RapidSeg, or None where its metadata is missing."""
    try:
        return distribution(PACKAGE)
    except PackageNotFoundError:
        return None


def has_requirements(installed: Distribution) -> bool:
    """Returns whether the metadata of the installed RapidSeg says which packages it needs."""
    return _read_requirements(installed) is not None


def _read_requirements(installed: Distribution | None) -> list[Requirement] | None:
    if installed is None:
        return None
    try:
        from packaging.requirements import Requirement

        return [Requirement(text) for text in installed.requires or []] or None
    except Exception:  # packaging is missing or broken itself, or the metadata is damaged
        return None


def _packages(requirements: list[Requirement], extra: str) -> tuple[str, ...]:
    """Returns the packages of an extra, those of the extras that it names included; of the base install for ''."""
    names: dict[str, None] = {}
    for requirement in requirements:
        marker = requirement.marker
        in_base = marker is None or marker.evaluate({"extra": ""})
        in_extra = marker is not None and not in_base and marker.evaluate({"extra": extra})
        if not (in_extra if extra else in_base):
            continue
        if _normalize(requirement.name) != PACKAGE:
            names[requirement.name] = None
            continue
        for inner in sorted(requirement.extras):
            names |= dict.fromkeys(_packages(requirements, inner))
    return tuple(names)


def _normalize(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")  # as pip compares names
