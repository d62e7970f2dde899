"""One walk for all commands: links, hidden folders, and what is said of files that are passed over."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rapidseg.core.errors import DatasetError, InputError
from rapidseg.data.cityscapes_preparation import find_polygon_files
from rapidseg.data.classification.file_trees import FolderTree
from rapidseg.data.layouts.pairing import find_files
from rapidseg.imaging import find_images, search_images
from rapidseg.imaging.folders import walk_folders

SYSTEM = [".ipynb_checkpoints", ".Trash-1000", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "lost+found"]


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def images_of_each_walk(root: Path) -> list[set[str]]:
    """Returns the images below a folder as each of the three kinds of walks finds them."""
    return [
        {path.relative_to(root).as_posix() for path in find_images([root / "**" / "*"])},
        {path.relative_to(root).as_posix() for path in find_files(root, (".png",)).values()},
        set(FolderTree(root).find_images()),
    ]


def test_hidden_and_system_folders_are_skipped_by_all_walks(tmp_path):
    touch(tmp_path, "a.png", "deep/b.png", *(f"{name}/x.png" for name in SYSTEM), "deep/@eaDir/b.png/thumb.png")
    for found in images_of_each_walk(tmp_path):
        assert found == {"a.png", "deep/b.png"}


def test_links_in_circles_are_walked_once(tmp_path):
    touch(tmp_path, "data/a.png", "data/deep/b.png")
    (tmp_path / "data/self").symlink_to(".")
    (tmp_path / "data/again").symlink_to(tmp_path / "data")
    (tmp_path / "data/deep/up").symlink_to("..")
    (tmp_path / "data/deep/above").symlink_to(tmp_path)
    (tmp_path / "data/dead").symlink_to("dead")
    start = time.perf_counter()
    found = find_files(tmp_path / "data", (".png",))
    assert list(found) == ["a", "deep/b"]
    assert [path.name for path in find_images([tmp_path / "data" / "**" / "*.png"])] == ["a.png", "b.png"]
    assert FolderTree(tmp_path / "data").find_images() == ["a.png", "deep/b.png"]
    assert time.perf_counter() - start < 2


def test_a_folder_elsewhere_is_followed_once_and_keeps_its_own_name(tmp_path):
    touch(tmp_path, "other/a.png", "data/z/b.png")
    for name in ("first", "second"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "other")
    (tmp_path / "data/a-link").symlink_to("z")
    assert sorted(find_files(tmp_path / "data", (".png",))) == ["first/a", "z/b"]


def test_a_root_that_is_a_link_is_walked(tmp_path):
    touch(tmp_path, "real/a.png")
    (tmp_path / "link").symlink_to("real")
    assert [folder.path for folder in walk_folders(tmp_path / "link")] == [tmp_path / "link"]
    assert find_images([tmp_path / "link"]) == [tmp_path / "link/a.png"]


def test_the_skipped_folder_is_skipped_by_whatever_path(tmp_path):
    touch(tmp_path, "all/a.png", "all/masks/a.png")
    skip = tmp_path / "all" / ".." / "all" / "masks"
    assert list(find_files(tmp_path / "all", (".png",), skip=skip)) == ["a"]


def test_what_is_passed_over_in_a_folder_is_counted_by_reason(tmp_path):
    touch(tmp_path, "a.jpg", "b.jfif", "IMG_1.HEIC", "c.avif", "d.gif", "note.txt", "sub/e.jpg", ".DS_Store", "LICENSE")
    (tmp_path / "gone.png").symlink_to("nowhere")
    found = search_images([tmp_path])
    assert [path.name for path in found.paths] == ["a.jpg", "b.jfif"]
    (note,) = found.notes()
    assert note == (
        f"not segmented in {tmp_path}: 5 files of other formats (HEIC, no suffix, AVIF, GIF, TXT), 1 subfolder, "
        f"1 broken link; convert pictures to JPEG or PNG; to search subfolders, pass '{tmp_path}/**/*'"
    )


def test_nothing_is_said_where_nothing_is_passed_over(tmp_path):
    touch(tmp_path, "a.jpg", ".hidden", "@eaDir/x.jpg")
    assert search_images([tmp_path, tmp_path / "a.jpg", tmp_path / "*.jpg"]).notes() == []


def test_a_glob_says_which_pictures_it_passed_over(tmp_path):
    touch(tmp_path, "a.jpg", "b.heic", "deep/c.GIF", "note.txt")
    (note,) = search_images([tmp_path / "**" / "*"]).notes()
    assert "2 files of other formats (HEIC, GIF); convert pictures to JPEG or PNG" in note


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "it is empty"),
        (["x.HEIC"], "it contains 1 file of another format (HEIC); convert pictures to JPEG or PNG"),
        (["x.txt"], "it contains 1 file of another format (TXT)"),
        (["sub/x.jpg"], "it contains 1 subfolder; to search subfolders, pass '{folder}/**/*'"),
    ],
)
def test_a_folder_without_images_says_what_it_contains(tmp_path, names, expected):
    touch(tmp_path, *names)
    with pytest.raises(InputError) as caught:
        find_images([tmp_path])
    assert str(caught.value).endswith(expected.format(folder=tmp_path))


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "x.png").symlink_to("absent.png")
    with pytest.raises(InputError, match=r"x\.png: this link leads to nothing \(absent\.png\); correct or remove it"):
        find_images([tmp_path / "x.png"])


def test_hidden_folders_that_are_named_are_searched(tmp_path):
    touch(tmp_path, ".mine/a.png", "@eaDir/b.png")
    assert [path.name for path in find_images([tmp_path / ".mine", tmp_path / "@eaDir" / "*.png"])] == [
        "a.png",
        "b.png",
    ]


def test_polygon_files_in_hidden_folders_are_skipped(tmp_path):
    name = "x_gtFine_polygons.json"
    touch(tmp_path, f"gtFine/train/ulm/{name}", f"gtFine/train/.ipynb_checkpoints/{name}", f"gtFine/train/{name}")
    (tmp_path / "gtFine/train/linked").symlink_to("ulm")
    assert find_polygon_files(tmp_path) == [tmp_path / "gtFine/train/ulm" / name]


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "closed/b.png")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    message = r"closed: this folder cannot be listed \(Permission denied\); check its permissions, or remove it"
    with pytest.raises(DatasetError, match=message):
        find_files(tmp_path, (".png",))
    with pytest.raises(InputError, match=message):
        find_images([tmp_path / "**" / "*.png"])
    with pytest.raises(DatasetError, match=message):
        FolderTree(tmp_path).find_images()


def test_paths_that_the_system_refuses_are_errors(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        find_images([tmp_path / ("x" * 5000)])
