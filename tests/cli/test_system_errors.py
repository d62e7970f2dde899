"""What the operating system refuses, deep inside of a command, is one message and never a traceback."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

import rapidseg as package
from rapidseg.core.errors import RapidSegError

REFUSED = [
    (PermissionError(errno.EACCES, "Permission denied", "a/b"), "cannot use a/b: Permission denied; change the perm"),
    (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5000), "(5000 characters): File name too long; shorten"),
    (OSError(errno.EMFILE, "Too many open files", b"a"), "cannot use a: Too many open files; too many files are open:"),
    (OSError(errno.EIO, "Input/output error"), "Input/output error; the disk or the network drive reports an error"),
    (FileExistsError(errno.EXDEV, "Invalid cross-device link", "a", None, "b"), "cannot use a and b: Invalid cross-"),
    (OSError("broken"), "broken"),
    (
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        "contains text that is not valid ('utf-8' codec",
    ),
    (
        UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
        "surrogates not allowed); save it as UTF-8",
    ),
    (RecursionError("maximum recursion depth exceeded"), "a file is nested too deeply to be read; pass another one"),
    (ValueError("embedded null byte"), "a path contains a NUL character; correct the path"),
    (RuntimeError("Could not determine home directory."), "a path begins with ~, but the home folder is not known"),
]
OUT_OF_MEMORY = [
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((10**9, 10**9), np.dtype(float)),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"),
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError(
        "OpenCV(5.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes in function 'x'"
    ),
]


def failing(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize(("error", "message"), REFUSED, ids=lambda value: type(value).__name__)
def test_in_a_command_and_in_python(error, message, rapidseg, monkeypatch):
    monkeypatch.setattr("rapidseg.workflows.predict.search_images", failing(error))
    status, output, errors = rapidseg("predict", "x.png")
    assert (status, output) == (2, "")
    assert errors.startswith("error: ")
    assert message in errors
    assert "Traceback" not in errors
    with pytest.raises(RapidSegError) as refusal:
        package.predict("x.png")
    assert message in str(refusal.value)
    assert refusal.value.__cause__ is error


@pytest.mark.parametrize(("error", "message"), REFUSED[:3], ids=lambda value: type(value).__name__)
def test_outside_of_the_workflows(error, message, rapidseg, monkeypatch):
    monkeypatch.setattr("rapidseg.cli.predict.show_report", failing(error))
    monkeypatch.setattr("rapidseg.workflows.predict.predict", lambda *_, **__: None)
    status, _, errors = rapidseg("predict", "x.png")
    assert status == 2
    assert message in errors


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda value: type(value).__name__)
def test_no_memory(error, rapidseg, monkeypatch):
    monkeypatch.setattr("rapidseg.workflows.predict.search_images", failing(error))
    status, output, errors = rapidseg("predict", "x.png")
    assert (status, output) == (1, "")
    assert errors.startswith("error: memory ran out")
    assert "free memory, or use smaller images or a smaller batch" in errors
    assert errors.count("\n") == 1
    with pytest.raises(type(error)):  # in Python it stays what it is
        package.predict("x.png")


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("x"), RuntimeError("x"), TypeError("x")], ids=repr)
def test_a_fault_of_the_program_keeps_its_traceback(error, rapidseg, monkeypatch):
    monkeypatch.setattr("rapidseg.workflows.predict.search_images", failing(error))
    with pytest.raises(type(error)):
        rapidseg("predict", "x.png")


def test_the_current_folder_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    os.rmdir(tmp_path / "gone")
    with pytest.raises(RapidSegError, match="the current folder no longer exists; change to another one"):
        package.predict(output="out")
