"""Commands where a package of the base install is installed but broken: one message, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rapidseg.core.extras import DISTRIBUTIONS
from rapidseg.diagnosis.packages import REQUIRED
from tests.support.broken_packages import FAILURES, run_with_broken

# `doctor` is built on these, so it prints only what it finds out without them.
DOCTOR_NEEDS = ("yaml", "pydantic", "rich", "typer", "platformdirs")


def run(folder: Path, package: str, failure: str, *words: str):
    ended = run_with_broken(package, failure, folder, "-m", "rapidseg", *words, TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended


def expected_message(package: str, failure: str) -> str:
    return f"installed but cannot be imported: {FAILURES[failure][1]}"


@pytest.mark.parametrize("package", REQUIRED)
def test_predict_names_the_package_and_what_to_do(package, tmp_path):
    # OpenVINO, which is the first to import packaging, does without where that raises an ImportError.
    for failure in ("system", "inner import") if package != "packaging" else ("system",):
        ended = run(tmp_path, package, failure, "predict")
        assert (ended.returncode, ended.stdout) == (2, "")
        error = ended.stderr[ended.stderr.index("error: ") :]
        assert error.count("\n") == 1
        assert f"{package} is {expected_message(package, failure)}; " in error
        assert f"pip install -c constraints.txt --force-reinstall {DISTRIBUTIONS.get(package, package)} " in error
        assert "`rapidseg doctor`" in error
        assert "not installed" not in error


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("package", ["numpy", "typer"])
def test_every_kind_of_failure_is_one_message(package, failure, tmp_path):
    ended = run(tmp_path, package, failure, "predict")
    assert ended.returncode == 2
    assert f"error: {package} is {expected_message(package, failure)}" in ended.stderr


@pytest.mark.parametrize("words", [["data", "synth", "out", "--images", "1"], ["predict"]])
def test_other_packages_print_nothing_beside_the_message(words, tmp_path):
    ended = run(tmp_path, "numpy", "library", *words)  # OpenCV prints advice where it cannot import NumPy
    assert (ended.returncode, ended.stdout) == (2, "")


@pytest.mark.parametrize(
    "words", [["eval", "--data", "camvid"], ["models"], ["benchmark"], ["data", "check", "camvid"]]
)
def test_every_command_is_covered(words, tmp_path):
    ended = run(tmp_path, "pydantic", "versions", *words)
    assert ended.returncode == 2
    assert f"error: pydantic is {expected_message('pydantic', 'versions')}" in ended.stderr


@pytest.mark.parametrize("package", REQUIRED)
def test_doctor_names_the_cause_whatever_is_broken(package, tmp_path):
    ended = run(tmp_path, package, "system", "doctor")
    plain = package in DOCTOR_NEEDS
    assert ended.returncode == (2 if plain else 1)
    output = ended.stderr if plain else ended.stdout
    problems = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(problems) == 1, problems  # packages that import the broken one are not accused
    assert problems[0].startswith(f"error: {package} ")
    assert expected_message(package, "system") in problems[0]
    distribution = DISTRIBUTIONS.get(package, package)
    assert problems[0].endswith(f"pip install -c constraints.txt --force-reinstall {distribution}")


def test_packages_that_import_the_broken_one_are_listed_with_it(tmp_path):
    ended = run(tmp_path, "numpy", "library", "doctor", "--json")
    assert ended.returncode == 1
    (problem,) = json.loads(ended.stdout)["problems"]
    assert problem["check"] == "numpy"
    assert {"cv2", "numba", "openvino"} <= set(problem["affected"])


@pytest.mark.parametrize("package", DOCTOR_NEEDS)
def test_doctor_gives_json_whatever_is_broken(package, tmp_path):
    ended = run(tmp_path, package, "own part", "doctor", "--json")
    assert ended.returncode == 2
    document = json.loads(ended.stdout)
    assert document["ok"] is False
    (problem,) = (problem for problem in document["problems"] if problem["required"])
    assert problem["check"] == package


def test_several_broken_packages_are_all_named(tmp_path):
    run_with_broken("yaml", "library", tmp_path, "-c", "")
    ended = run(tmp_path, "typer", "library", "doctor")
    assert ended.returncode == 2
    assert [line.split()[1] for line in ended.stderr.splitlines()] == ["yaml", "typer"]
