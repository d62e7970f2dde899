"""The checks that are kept beside the reference outputs."""

import importlib.util
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def check(parity_dir) -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_check", parity_dir / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
