"""Which extra installs a package, and what users are told where one is missing."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

import pytest

from rapidseg.core import extras

ROOT = Path(__file__).resolve().parents[2]


def write_metadata(folder: Path, lines: list[str]) -> Distribution:
    """Installs a package's metadata, without the package."""
    (folder / "rapidseg-9.dist-info").mkdir()
    text = "\n".join(["Metadata-Version: 2.4", "Name: rapidseg", "Version: 9", *lines])
    (folder / "rapidseg-9.dist-info" / "METADATA").write_text(text + "\n")
    return Distribution.at(folder / "rapidseg-9.dist-info")


@pytest.fixture
def installed(tmp_path) -> Distribution:
    """Metadata of this package as its pyproject.toml declares it."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 brings it")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [f"Requires-Dist: {text}" for text in project["dependencies"]]
    for extra, requirements in project["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        for text in requirements:
            requirement, _, marker = text.partition(";")
            marker = f"({marker.strip()}) and " if marker else ""
            lines.append(f"Requires-Dist: {requirement.strip()} ; {marker}extra == '{extra}'")
    return write_metadata(tmp_path, lines)


def test_the_tables_agree_with_pyproject(installed):
    declared = extras.packages_by_extra(installed)
    assert {extra: set(packages) for extra, packages in declared.items()} == {
        extra: set(packages) for extra, packages in extras.EXTRAS.items()
    }
    assert set(extras.base_packages(installed)) == set(extras.BASE_PACKAGES)


@pytest.mark.parametrize("with_metadata", [True, False])
@pytest.mark.parametrize(
    ("package", "extra"),
    [
        ("torch", "export"),
        ("onnx", "export"),
        ("onnxscript", "export"),
        ("safetensors", "export"),
        ("pooch", ""),
        ("requests", ""),
        ("filelock", ""),
        ("onnxruntime", "onnxruntime"),
        ("lightning", "train"),
        ("tensorboard", "train"),
        ("nncf", "quantize"),
        ("jinja2", "report"),
        ("matplotlib", "report"),
        ("huggingface_hub", "hub"),
        ("pynvml", "nvidia"),
        ("nvidia_ml_py", "nvidia"),
        ("openvino", ""),
        ("cv2", ""),
        ("yaml", ""),
        ("llvmlite", ""),
    ],
)
def test_the_smallest_extra_is_named(tmp_path, request, with_metadata, package, extra):
    if with_metadata:
        installed = request.getfixturevalue("installed")
    else:  # none that can be used
        installed = write_metadata(tmp_path, ["Requires-Dist: !!!"])
    assert extras.missing_extra(package, installed) == extra


def test_a_package_that_nothing_installs():
    with pytest.raises(LookupError, match="neither the base install nor an extra of rapidseg installs tensorflow"):
        extras.missing_extra("tensorflow")


def test_without_metadata_the_tables_hold(monkeypatch):
    def fail(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "distribution", fail)
    assert extras.find_distribution() is None
    assert extras.packages_by_extra() is extras.EXTRAS
    assert extras.base_packages() is extras.BASE_PACKAGES
    assert extras.missing_extra("torch") == "export"


def test_extras_within_extras_and_markers(tmp_path):
    lines = [
        *("Provides-Extra: few", "Provides-Extra: many", "Provides-Extra: dev"),
        "Requires-Dist: numpy>=1; python_version > '3'",
        "Requires-Dist: one; extra == 'few'",
        "Requires-Dist: rapidseg[few]; extra == 'many'",
        "Requires-Dist: two; extra == 'many'",
        "Requires-Dist: never; sys_platform == 'vms' and extra == 'many'",
        "Requires-Dist: pytest; extra == 'dev'",
    ]
    installed = write_metadata(tmp_path, lines)
    assert extras.packages_by_extra(installed) == {"few": ("one",), "many": ("one", "two")}
    assert extras.base_packages(installed) == ("numpy",)


def test_commands_are_those_of_the_readme():
    assert extras.install_command("export") == "pip install -c constraints.txt '.[export]'"
    assert extras.install_command() == "pip install -c constraints.txt ."
    assert extras.install_command() in (ROOT / "README.md").read_text()
    assert extras.install_hint("train") == "run in the clone of RapidSeg: pip install -c constraints.txt '.[train]'"
