"""What users are told where a package is missing or broken, from Python."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from rapidseg.core import import_errors
from rapidseg.core.errors import DependencyError, InputError, RapidSegError
from rapidseg.core.extras import BASE_PACKAGES, DISTRIBUTIONS
from rapidseg.core.import_errors import SEE_DOCTOR, dependency_error, explained_imports, failed_package
from tests.support.broken_packages import FAILURES, run_with_broken

NEEDED_BY_LOAD = ("numpy", "cv2", "PIL", "llvmlite", "numba", "openvino", "pydantic", "yaml", "platformdirs")
LOAD = """
import rapidseg
try:
    rapidseg.load()
except rapidseg.RapidSegError as error:
    print(error)
    print(type(error.__cause__).__name__)
"""


def import_broken(folder: Path, name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> Exception:
    """Returns what importing a module with this source raises."""
    (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(Exception) as raised:  # noqa: PT011
        __import__(name)
    return raised.value


def test_a_required_package_whose_files_are_missing(monkeypatch):
    monkeypatch.setattr(import_errors, "is_installed", lambda package: False)
    error = ModuleNotFoundError("No module named 'numba'", name="numba")
    assert str(dependency_error(error)) == (
        "files of numba are missing; run in the clone of RapidSeg: pip install -c constraints.txt --force-reinstall "
        "numba (`rapidseg doctor` checks the whole installation)"
    )
    monkeypatch.setattr(import_errors, "is_known_to_pip", lambda package: False)
    assert str(dependency_error(error)).startswith("numba is not installed; run in the clone of RapidSeg: pip install")


def test_messages_of_packages_that_are_missing_or_broken(monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    missing = dependency_error(ModuleNotFoundError("No module named 'nncf'", name="nncf.quantization"))
    assert isinstance(missing, RapidSegError)
    assert isinstance(missing, DependencyError)
    assert missing.package == "nncf"
    assert str(missing) == (
        "nncf is not installed; run in the clone of RapidSeg: pip install -c constraints.txt '.[quantize]'"
    )
    known = dependency_error(ModuleNotFoundError("No module named 'nncf'", name="nncf"), "all")
    assert str(known).endswith("'.[all]'")
    broken = dependency_error(ImportError("libcv.so: cannot open shared object file", name="cv2.cv2"))
    assert str(broken) == (
        "cv2 is installed but cannot be imported: ImportError: libcv.so: cannot open shared object file; run in the "
        "clone of RapidSeg: pip install -c constraints.txt --force-reinstall opencv-python-headless (`rapidseg doctor` "
        "checks the whole installation)"
    )


@pytest.mark.parametrize("name", [None, "rapidseg.core.nowhere", "tensorflow"])
def test_our_own_mistakes_stay_as_they_are(name):
    assert dependency_error(ModuleNotFoundError("No module", name=name)) is None


def test_errors_outside_an_import_stay_as_they_are():
    for error in (ValueError("no"), AttributeError("no", obj=sys, name="no"), SyntaxError("no")):
        with pytest.raises(type(error)) as raised, explained_imports():
            raise error
        assert raised.value is error
    with pytest.raises(InputError), explained_imports():
        raise InputError("ours")


@pytest.mark.parametrize("failure", FAILURES)
def test_every_kind_of_failure_names_the_package(failure, tmp_path, monkeypatch):
    source = FAILURES[failure][0].replace("{package}", "tensorboard")
    error = import_broken(tmp_path, "tensorboard", source, monkeypatch)
    assert failed_package(error) == "tensorboard"
    assert "tensorboard is installed but cannot be imported: " in str(dependency_error(error))


def test_the_innermost_package_is_the_cause(tmp_path, monkeypatch):
    (tmp_path / "nncf.py").write_text("raise TypeError('versions do not fit')")
    monkeypatch.delitem(sys.modules, "nncf", raising=False)
    error = import_broken(tmp_path, "tensorboard", "import nncf", monkeypatch)
    assert failed_package(error) == "nncf"


def test_a_package_that_lost_its_files(monkeypatch):
    empty = ModuleType("tensorboard")  # what Python makes of a folder without files
    monkeypatch.setitem(sys.modules, "tensorboard", empty)
    with pytest.raises(AttributeError) as raised:
        empty.summary  # noqa: B018
    assert failed_package(raised.value) == "tensorboard"
    with pytest.raises(ImportError) as raised:
        from tensorboard import summary  # noqa: F401
    assert failed_package(raised.value) == "tensorboard"


@pytest.mark.parametrize("failure", ["system", "inner import"])
@pytest.mark.parametrize("package", NEEDED_BY_LOAD)
def test_loading_raises_our_error_with_the_original_as_its_cause(package, failure, tmp_path):
    ended = run_with_broken(package, failure, tmp_path, "-c", LOAD)
    assert (ended.returncode, ended.stderr) == (0, "")
    message, cause = ended.stdout.splitlines()
    assert f"{package} is installed but cannot be imported: {FAILURES[failure][1]}; " in message
    assert "not installed" not in message
    assert f"--force-reinstall {DISTRIBUTIONS.get(package, package)}{SEE_DOCTOR}" in message
    assert cause == {"system": "OSError", "inner import": "ModuleNotFoundError"}[failure]


def test_the_packages_above_are_all_but_those_of_the_command_line_and_of_downloads():
    others = {DISTRIBUTIONS.get(package, package) for package in NEEDED_BY_LOAD} ^ set(BASE_PACKAGES)
    assert others == {"llvmlite", "typer", "rich", "packaging", "pooch", "requests", "filelock"}
