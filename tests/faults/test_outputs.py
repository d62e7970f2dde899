"""Commands that write files, where they cannot: full disks, folders without permission, no home, closed streams.

Whatever is wrong: nothing half-written has a final name, there is one message, the exit status says that something is
not done, and the same command completes the work once the cause is gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.output_faults import WITHOUT_RIGHTS, Outcome, Workshop, check_files, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses mount, setpriv, /dev/full and the shell of Linux")

COMMANDS = ("predict", "eval", "import", "synth", "prepare")
WITH_EXPORT = (*COMMANDS, "export")  # which compares engines for minutes once it can write: it is only made to fail
MARKED = [pytest.param(name, marks=() if name == "predict" else pytest.mark.faults) for name in COMMANDS]
DISK_KIB = 2048
FILES = {
    "predict": {
        "predictions.json",
        *(f"class_maps/{index}.png" for index in range(3)),
        *(f"overlays/{index}.jpg" for index in range(3)),
    },
    "eval": {"e.json", "e.html", "saved/000.png", "saved/001.png", "saved/002.png"},
    "import": {"model.safetensors"},
}


def slowly(*values: object) -> list[object]:
    """Returns parameters of tests that are among the slow ones."""
    return [pytest.param(value, marks=pytest.mark.faults) for value in values]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def check_done(command: str, output: Path) -> None:
    """Checks that a command has written all its files."""
    files = check_files(output)
    if command in FILES:
        assert files == FILES[command]
    else:
        assert len([name for name in files if name.endswith(".png")]) == {"synth": 9, "prepare": 8}[command]


@contextlib.contextmanager
def filled(disk: Path, free_kib: int) -> Iterator[None]:
    """Leaves `free_kib` on a disk."""
    free = os.statvfs(disk)
    (disk / "filling").write_bytes(bytes(free.f_bavail * free.f_bsize - free_kib * 1024))
    yield
    (disk / "filling").unlink()


@pytest.mark.faults
@pytest.mark.parametrize("free_kib", [0, 8, 40])
@pytest.mark.parametrize("command", WITH_EXPORT)
def test_a_full_disk(command: str, free_kib: int, workshop: Workshop, small_disk: Path) -> None:
    output = small_disk / "out"
    words = workshop.words(command, output)
    with filled(small_disk, free_kib):
        outcome = run(words)
        if outcome.status:
            assert outcome.check_message().endswith(
                "No space left on device; free disk space, or choose a path on another disk"
            )
        else:
            assert command in ("prepare", "synth")  # whose files may fit
        check_files(small_disk)
    if command != "export":
        assert run(words).status == 0
        check_done(command, output)


@pytest.mark.parametrize("command", [*MARKED, *slowly("export")])
def test_files_that_may_not_grow(command: str, workshop: Workshop, tmp_path: Path) -> None:
    """A limit of 300 bytes a file, which is what a full disk looks like where none can be mounted."""
    import resource

    output = tmp_path / "out"
    words = workshop.words(command, output)
    outcome = run(words, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)))
    assert outcome.status == 2
    assert "File too large; raise the limit on the size of files" in outcome.check_message()
    check_files(output)
    if command != "export":
        assert run(words).status == 0
        check_done(command, output)


@pytest.mark.parametrize("command", [*MARKED, *slowly("export")])
def test_a_folder_without_permission(command: str, workshop: Workshop, tmp_path: Path) -> None:
    check_that_rights_can_be_dropped()
    output = tmp_path / "locked" / "out"
    words = workshop.words(command, output)
    output.mkdir(parents=True, exist_ok=True)
    folders = [output, *(path for path in output.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    try:
        outcome = run(words, before=WITHOUT_RIGHTS)
    finally:
        for path in folders:
            path.chmod(0o755)
    assert outcome.status == 2
    assert "Permission denied; change the permissions, or choose a folder that you can" in outcome.check_message()
    assert not [path for path in output.rglob("*") if path.is_file() and not path.name.endswith("polygons.json")]
    if command != "export":
        assert run(words, before=WITHOUT_RIGHTS).status == 0
        check_done(command, output)


@pytest.mark.faults
@pytest.mark.parametrize("home", [None, "/dev/null", "/nonexistent/home"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_home_folder(command: str, home: str | None, workshop: Workshop, tmp_path: Path) -> None:
    variables = {"HOME": home, "XDG_CACHE_HOME": None, "RAPIDSEG_CACHE": None}
    outcome = run(workshop.words(command, tmp_path / "out"), environment=variables)
    assert outcome.status == 0, outcome.errors
    check_done(command, tmp_path / "out")


class TestStreams:
    @pytest.mark.parametrize("command", MARKED)
    @pytest.mark.parametrize("redirect", [*slowly(">&-", "2>&-"), "<&- >&- 2>&-"])
    def test_closed_ones(self, redirect: str, command: str, workshop: Workshop, tmp_path: Path) -> None:
        outcome = run(workshop.words(command, tmp_path / "out"), redirect=redirect)
        assert (outcome.status, outcome.errors) == (0, "")
        check_done(command, tmp_path / "out")

    @pytest.mark.parametrize("redirect", [*slowly(">/dev/full"), "| true"])
    @pytest.mark.parametrize("command", MARKED)
    def test_an_output_that_nobody_can_read(
        self, command: str, redirect: str, workshop: Workshop, tmp_path: Path
    ) -> None:
        outcome = run(workshop.words(command, tmp_path / "out"), redirect=redirect)
        check_lost_output(outcome)
        check_done(command, tmp_path / "out")

    @pytest.mark.parametrize("redirect", [">/dev/full", *slowly("| true")])
    def test_a_document_that_nobody_can_read(self, redirect: str, workshop: Workshop, tmp_path: Path) -> None:
        check_lost_output(run([*workshop.words("predict", tmp_path / "out"), "--json"], redirect=redirect))
        check_done("predict", tmp_path / "out")

    def test_a_document_for_a_closed_stream_is_refused_before_the_work(
        self, workshop: Workshop, tmp_path: Path
    ) -> None:
        outcome = run([*workshop.words("predict", tmp_path / "out"), "--json"], redirect=">&-")
        assert outcome.status == 2
        assert outcome.check_message() == (
            "error: standard output is closed, where --json prints; redirect it to a file"
        )
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("redirect", ["2>/dev/full", *slowly("2>&1 >/dev/null | true")])
    def test_messages_that_nobody_can_read_do_not_end_the_work(
        self, redirect: str, workshop: Workshop, tmp_path: Path
    ) -> None:
        shutil.copytree(workshop.folder / "photos", tmp_path / "photos")
        (tmp_path / "photos/1.png").write_bytes(b"")  # is skipped, with a message
        words = ["predict", str(tmp_path / "photos"), "--model", str(workshop.folder / "tiny.onnx"), "-o"]
        outcome = run([*words, str(tmp_path / "out")], redirect=redirect)
        assert outcome.status == 1
        assert check_files(tmp_path / "out") == FILES["predict"] - {"class_maps/1.png", "overlays/1.jpg"}


def test_a_current_folder_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    outcome = run(["predict"], folder=tmp_path / "gone", prepare=lambda: os.rmdir(tmp_path / "gone"))
    assert outcome.status == 2
    assert outcome.check_message() == "error: the current folder no longer exists; change to another one with `cd`"


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "locked", "-o", "out"],
        *slowly(
            ["predict", "locked/a.png", "-o", "out"],
            ["predict", "locked/**/*.png", "-o", "out"],
            ["predict", "--model", "locked/a.onnx", "-o", "out"],
            ["eval", "--data", "locked/a.yaml"],
            ["eval", "--data", "data.yaml"],
            ["eval", "--data", "camvid", "--root", "locked/a"],
            ["data", "check", "data.yaml"],
            ["data", "check", "cityscapes", "--root", "locked/a"],
            ["data", "prepare", "cityscapes", "locked/a"],
            ["data", "synth", "locked/a", "--images", "1"],
            ["import", "locked/a.pth", "-o", "a.safetensors"],
            ["export", "locked/a.safetensors", "-o", "a.onnx"],
            ["report", "locked/a.json"],
            ["train", "data.yaml", "-o", "locked/run"],
            ["train", "locked/a.yaml", "-o", "run"],
            ["tune", "locked/a.onnx", "--min-fps", "1"],
            ["benchmark", "locked/a.onnx"],
            ["benchmark", "-o", "locked/results"],
        ),
    ],
    ids=" ".join,
)
def test_inputs_without_permission(words: list[str], tmp_path: Path) -> None:
    check_that_rights_can_be_dropped()
    (tmp_path / "locked").mkdir(mode=0o000)
    text = "classes: [a, b]\nroot: locked\nsplits:\n  val: {images: i, masks: m}\n  train: {images: i, masks: m}\n"
    (tmp_path / "data.yaml").write_text(text)
    outcome = run(words, before=WITHOUT_RIGHTS, folder=tmp_path)
    assert outcome.status == 2
    assert "Permission denied" in outcome.check_message()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.yaml", "locked"]


@pytest.mark.faults
@pytest.mark.parametrize("long", ["x" * 5000, "/".join(["y" * 100] * 50)], ids=["name", "path"])
@pytest.mark.parametrize(
    "words",
    [
        ["predict", "{}"],
        ["predict", "{}*.png"],
        ["predict", "-o", "{}"],
        ["predict", "--model", "{}"],
        ["predict", "--model", "{}.onnx"],
        ["eval", "--data", "{}"],
        ["eval", "--data", "{}.yaml"],
        ["eval", "--data", "camvid", "--root", "{}"],
        ["train", "{}", "-o", "run"],
        ["train", "{}.yaml", "-o", "run"],
        ["train", "-o", "{}", "--resume"],
        ["export", "{}.safetensors"],
        ["import", "{}.pth"],
        ["report", "{}.json"],
        ["data", "check", "{}.yaml"],
        ["data", "synth", "{}", "--images", "1"],
        ["data", "prepare", "cityscapes", "{}"],
        ["tune", "--min-fps", "1", "-o", "{}.yaml"],
        ["benchmark", "-o", "{}"],
    ],
    ids=" ".join,
)
def test_names_and_paths_of_5000_letters(words: list[str], long: str, tmp_path: Path) -> None:
    outcome = run([word.format(long) for word in words], folder=tmp_path)
    assert outcome.status == 2
    outcome.check_message()
    assert not list(tmp_path.iterdir())


def check_lost_output(outcome: Outcome) -> None:
    assert outcome.status == 1
    assert outcome.check_message().startswith("error: cannot write to standard output: ")
    assert outcome.errors.count("\n") == 1


def check_that_rights_can_be_dropped() -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv, which drops the rights of root, is not available")
    dropped = subprocess.run([*WITHOUT_RIGHTS, "true"], capture_output=True, check=False)
    if dropped.returncode:
        pytest.skip(f"the rights of root cannot be dropped here: {dropped.stderr.decode().strip()}")
