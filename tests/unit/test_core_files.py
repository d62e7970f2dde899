"""Files that are written atomically: temporary names, what a killed process leaves, several writers at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.core.files import atomic_path, write_bytes, write_text

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has neither locks of this kind nor permissions")


@pytest.mark.parametrize("stem", ["x" * 251, "é" * 125, "街" * 83])
def test_names_of_255_bytes_are_written(stem: str, tmp_path: Path) -> None:
    path = tmp_path / f"{stem}.png"
    write_bytes(path, b"content")
    assert path.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [path]


def test_a_long_suffix_and_a_name_of_any_bytes(tmp_path: Path) -> None:
    for name in ("a." + "b" * 253, os.fsdecode(b"stra\xdfe.json"), ".hidden"):
        write_text(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"


def test_text_with_names_of_any_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "x.json", os.fsdecode(b'{"file": "stra\xdfe \xc3\x9f"}'))
    assert (tmp_path / "x.json").read_bytes() == b'{"file": "stra\\udcdfe \xc3\x9f"}'


@posix_only
def test_what_a_killed_process_left_is_used_again(tmp_path: Path) -> None:
    program = (
        "import os, sys; from rapidseg.core.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_bytes(b'half, but longer')\n"
        "    os.kill(os.getpid(), 9)"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program, str(tmp_path / "x.png")], check=False)
    (left,) = tmp_path.iterdir()
    assert ".part" in left.name
    write_bytes(tmp_path / "x.png", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
    assert (tmp_path / "x.png").read_bytes() == b"whole"


def test_several_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    contents = [bytes([number]) * 100_000 for number in range(8)]
    failures: list[BaseException] = []

    def write(content: bytes) -> None:
        try:
            for _ in range(30):
                write_bytes(tmp_path / "x.bin", content)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert (tmp_path / "x.bin").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


@posix_only
def test_a_link_in_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x.txt") as temporary:
        temporary.write_text("1")
    (tmp_path / "precious").write_text("precious")
    for make in (os.symlink, os.link):
        make(tmp_path / "precious", temporary)
        write_text(tmp_path / "x.txt", "2")
        assert (tmp_path / "precious").read_text() == "precious"
        assert (tmp_path / "x.txt").read_text() == "2"
        temporary.unlink()


@posix_only
def test_new_files_have_the_permissions_of_the_user_s_mask(tmp_path: Path) -> None:
    def make_private(temporary: Path) -> None:
        temporary.unlink()
        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))

    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "")
        with atomic_path(tmp_path / "b") as temporary:
            make_private(temporary)
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"] == [0o640, 0o640]


@posix_only
def test_only_files_are_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RapidSegError, match=r"cannot write .*pipe: it is a named pipe, not a regular file; choose"):
        write_text(tmp_path / "pipe", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def fail_while_writing(path: Path, error: BaseException, target: str | None = None) -> None:
    """Begins to write a file, and raises an error; `target` is what the temporary file is a link to."""
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        if target is not None:
            temporary.unlink()
            temporary.symlink_to(target)
        raise error


@pytest.mark.parametrize("error", [KeyError("x"), InputError("wrong"), MemoryError(), KeyboardInterrupt()], ids=repr)
def test_errors_of_the_work_itself_pass_unchanged(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as raised:
        fail_while_writing(tmp_path / "x", error)
    assert raised.value is error
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
@pytest.mark.parametrize("error", [RuntimeError("serialization failed"), OSError("encoder error -2")], ids=repr)
def test_a_full_disk_is_named_whatever_a_library_says(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(RapidSegError, match=r"cannot write .*x: No space left on device; free disk space"):
        fail_while_writing(tmp_path / "x", error, target="/dev/full")
    assert not list(tmp_path.iterdir())
