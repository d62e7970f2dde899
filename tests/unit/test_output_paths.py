"""Where outputs go: paths that users pass, and names from their lists and data sets."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.core.output_paths import (
    MAX_NAME_BYTES,
    check_derived_files,
    check_output_file,
    check_output_folder,
    fitting_name,
    path_below,
)

FOLDER = Path("out")
posix_only = pytest.mark.skipif(os.name == "nt", reason="names and kinds of files that Windows does not have")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("aachen/a", "out/aachen/a.png"),
        ("../raw/a", "out/raw/a.png"),
        ("../../../../etc/passwd", "out/etc/passwd.png"),
        ("/etc/passwd", "out/etc/passwd.png"),
        ("a/../../b", "out/b.png"),
        ("./a//b/./c", "out/a/b/c.png"),
        ("...", "out/....png"),
        (".hidden", "out/.hidden.png"),
        ("a/..b", "out/a/..b.png"),
    ],
)
def test_a_name_never_leads_out_of_the_folder(name: str, path: str) -> None:
    assert path_below(FOLDER, name, ".png") == Path(path)


@pytest.mark.parametrize("name", ["", ".", "..", "/", "../..", "a/..", "./"])
def test_a_name_of_which_nothing_is_left_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a file; correct the list or the data set"):
        path_below(FOLDER, name, ".png")


@given(st.text(st.characters(blacklist_characters="\0"), max_size=400), st.text("./\\ab", max_size=30))
def test_whatever_the_name_the_file_is_inside(text: str, dots: str) -> None:
    try:
        path = path_below(FOLDER, dots + text, ".png")
    except InputError:
        return
    assert path != FOLDER
    assert os.path.commonpath([os.path.abspath(path), os.path.abspath(FOLDER)]) == os.path.abspath(FOLDER)
    assert all(len(os.fsencode(part.encode("utf-8", "replace"))) <= MAX_NAME_BYTES for part in path.parts)


def test_long_names_fit_and_stay_distinct() -> None:
    for letter in "xé街":
        names = {fitting_name(letter * 300 + end, ".png") for end in ("1", "2")}
        assert len(names) == 2
        for name in names:
            assert len(os.fsencode(name)) <= MAX_NAME_BYTES
            assert name.startswith(letter * 10)
            assert name.endswith(".png")
    assert fitting_name("x" * 251, ".png") == "x" * 251 + ".png"


class TestFile:
    @pytest.mark.parametrize("name", [".", "./", "..", "/", "folder", "folder/", "new/", "new/.", "new/..", ""])
    def test_a_folder(self, name: str, in_folder: Path) -> None:
        (in_folder / "folder").mkdir()
        with pytest.raises(InputError, match=r"is a folder; pass a file name that ends in \.onnx$"):
            check_output_file(name, (".onnx",))

    @pytest.mark.parametrize("name", ["x", "x.pth", ".onnx", "..onnx.txt"])
    def test_another_ending(self, name: str) -> None:
        with pytest.raises(InputError, match=r"pass a file name that ends in \.onnx, such as "):
            check_output_file(name, (".onnx",))

    @posix_only
    def test_what_is_not_a_regular_file(self, in_folder: Path) -> None:
        os.mkfifo("pipe.json")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.json")
            os.symlink("/dev/null", "device.json")
            for name, kind in (("pipe", "a named pipe"), ("socket", "a socket"), ("device", "a device")):
                with pytest.raises(InputError, match=rf"{name}\.json is {kind}, not a regular file; pass another name"):
                    check_output_file(f"{name}.json", (".json",))

    def test_an_input_is_never_the_output(self, in_folder: Path) -> None:
        (in_folder / "model.onnx").touch()
        os.link("model.onnx", "same.onnx")
        for name in ("model.onnx", "./model.onnx", str(in_folder / "model.onnx"), "same.onnx"):
            with pytest.raises(InputError, match=r"would be replaced; pass another name that ends in \.onnx"):
                check_output_file(name, (".onnx",), inputs=("fast-scnn-camvid", None, 3, "model.onnx"))
        assert check_output_file("other.onnx", (".onnx",), inputs=("model.onnx",)) == Path("other.onnx")

    def test_a_file_in_place_of_a_folder_above(self, in_folder: Path) -> None:
        (in_folder / "file").touch()
        with pytest.raises(RapidSegError, match=r"cannot write .*x\.onnx: file is not a folder; a part of the path is"):
            check_output_file("file/a/b/x.onnx", (".onnx",))

    def test_nothing_is_created(self, in_folder: Path) -> None:
        assert check_output_file("new/x.onnx", (".onnx",)) == Path("new/x.onnx")
        assert check_output_folder("new/results") == Path("new/results")
        assert not list(in_folder.iterdir())


class TestBoth:
    """Paths that are wrong whether a file or a folder is meant."""

    @pytest.fixture(params=["file", "folder"])
    def check(self, request: pytest.FixtureRequest):
        if request.param == "folder":
            return check_output_folder
        return lambda path: check_output_file(f"{path}.onnx", (".onnx",))

    def test_the_home_folder(self, check, in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(in_folder))
        monkeypatch.setenv("USERPROFILE", str(in_folder))
        assert check("~/runs/x").with_suffix("") == in_folder / "runs/x"
        with pytest.raises(InputError, match="the home folder ~nobody-of-that-name is not known here; pass the whole"):
            check("~nobody-of-that-name/x")
        assert check("x~/~y").parent == Path("x~")

    @posix_only
    @pytest.mark.parametrize("path", [r"C:\results\x", "d:/results", r"\\server\share\x"])
    def test_a_path_of_windows(self, check, path: str) -> None:
        with pytest.raises(InputError, match="is a path of Windows; pass a path of this system"):
            check(path)

    @pytest.mark.parametrize("path", ["s3://bucket/x", "https://example.org/x", "hf://owner/name"])
    def test_an_address(self, check, path: str) -> None:
        for address in (path, Path(path)):  # which makes one slash of two
            with pytest.raises(InputError, match="is an address, not a path; write to a folder here"):
                check(address)

    def test_a_nul_character(self, check) -> None:
        with pytest.raises(InputError, match="contains a NUL character"):
            check("a\0b")

    @pytest.mark.skipif(sys.getfilesystemencoding() != "utf-8", reason="file names here are not UTF-8")
    def test_text_that_cannot_be_a_name(self, check) -> None:
        with pytest.raises(InputError, match="cannot be the name of a file here"):
            check("\ud800")

    @pytest.mark.parametrize("letter", ["x", "é"])
    def test_a_name_that_is_too_long(self, check, letter: str) -> None:
        with pytest.raises(InputError, match=r"a name of \d+ bytes is too long; up to 255 are allowed") as refusal:
            check(letter * 5000)
        assert len(str(refusal.value)) < 400

    def test_a_path_that_is_too_long(self, check) -> None:
        with pytest.raises(InputError, match="this path is longer than 4095 bytes; choose a shorter one"):
            check("/".join(["x" * 99] * 50))


@posix_only
def test_what_is_not_a_folder(in_folder: Path) -> None:
    (in_folder / "file").touch()
    os.symlink("nowhere", "link")
    for name, kind in (("file", "a file"), ("link", "a link to nothing"), (os.devnull, "a device")):
        with pytest.raises(InputError, match=f"{name} is {kind}; results are written to a folder, choose another name"):
            check_output_folder(name)
    with pytest.raises(InputError, match="the folder to write to is empty"):
        check_output_folder(" ")


@posix_only
class TestDerivedFiles:
    def test_links_that_lead_outside(self, in_folder: Path) -> None:
        for folder in ("results", "elsewhere", "results-2"):
            (in_folder / folder).mkdir()
        os.symlink("../elsewhere", "results/class_maps")
        os.symlink("../results-2", "results/b")
        for name in ("class_maps", "b"):
            with pytest.raises(InputError, match=rf"results/{name} leads to .*, outside of results; remove the link"):
                check_derived_files(Path("results"), [Path("results", name, "a.png")], is_ours=lambda path: True)

    def test_a_link_to_the_folder_itself_is_the_user_s_choice(self, in_folder: Path) -> None:
        (in_folder / "disk").mkdir()
        os.symlink("disk", "results")
        check_derived_files(Path("results"), [Path("results/a/b.png")], is_ours=lambda path: False)

    def test_only_own_files_are_replaced(self, in_folder: Path) -> None:
        for name in ("mine.png", "foreign.png"):
            (in_folder / name).touch()
        os.symlink("nowhere", "dangling.png")
        files = [Path(name) for name in ("mine.png", "dangling.png", "new.png")]
        check_derived_files(Path(), files, is_ours=lambda path: path.name == "mine.png")
        with pytest.raises(InputError, match=r"foreign\.png was not written by RapidSeg and would be overwritten"):
            check_derived_files(Path(), [*files, Path("foreign.png")], is_ours=lambda path: path.name == "mine.png")


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path
