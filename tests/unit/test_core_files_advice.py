"""What users are told about files and folders that cannot be written, and about folders in place of files."""

import errno
import os

import pytest

from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.core.files import check_output_folder, create_folder, file_in_folder, write_text
from rapidseg.core.os_errors import write_error
from rapidseg.core.wording import count_of


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free disk space, or choose a path on another disk"),
        (errno.EACCES, "change the permissions, or choose a folder that you can write to"),
        (errno.EROFS, "choose a path on a disk that can be written to"),
        (errno.EISDIR, "choose a file name that is not taken by a folder"),
        (errno.ENOTDIR, "a part of the path is a file, not a folder: choose another path"),
        (errno.ENAMETOOLONG, "choose a shorter name"),
        (errno.EIO, "choose another path"),
    ],
)
def test_the_advice_depends_on_the_cause(number, advice):
    reason = os.strerror(number)
    assert str(write_error("a/b.txt", OSError(number, reason))) == f"cannot write a/b.txt: {reason}; {advice}"


def test_real_causes_get_their_advice(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path, advice in (
        (tmp_path / "file" / "x.txt", "a part of the path is a file"),
        (tmp_path / "folder", "is not taken by a folder"),
        (tmp_path / ("x" * 300 + ".txt"), "choose a shorter name"),
    ):
        with pytest.raises(RapidSegError, match=f"cannot write .*; .*{advice}"):
            write_text(path, "")
    with pytest.raises(RapidSegError, match="a part of the path is a file"):
        create_folder(tmp_path / "file")


def test_a_file_in_place_of_the_output_folder(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(InputError, match=r"photo\.jpg is a file; results are written to a folder, choose another name"):
        check_output_folder(tmp_path / "photo.jpg")
    assert check_output_folder(tmp_path / "new") == tmp_path / "new"
    assert not (tmp_path / "new").exists()


def test_a_folder_in_place_of_a_file_names_the_best_file_in_it(tmp_path):
    suffixes = (".onnx", ".safetensors")
    assert "contains no file that ends in .onnx, .safetensors" in file_in_folder(tmp_path, suffixes)
    (tmp_path / "last.safetensors").touch()
    (tmp_path / "best.safetensors").touch()
    assert file_in_folder(tmp_path, suffixes) == f"pass a file in it, such as {tmp_path / 'best.safetensors'}"


def test_numbers_with_nouns():
    assert [count_of(number, "image") for number in (0, 1, 2)] == ["no images", "1 image", "2 images"]
