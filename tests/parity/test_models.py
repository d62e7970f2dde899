"""Equality with the published implementations, by the checks that stand beside their reference outputs."""

import importlib.util
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def check(parity_dir) -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_check", parity_dir / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "fixture", ["openmmlab/fast_scnn", "standalone/leftthomas_fast_scnn", "standalone/tramac_fast_scnn"]
)
def test_fast_scnn_computes_what_the_published_code_computes(check, parity_dir, fixture):
    assert check.check_checkpoint(parity_dir / f"{fixture}.json", parity_dir) == []
