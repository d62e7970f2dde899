"""Refusals of data sets say what was seen and which line to write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rapidseg.core.errors import ConfigError, DatasetError, ImageError
from rapidseg.data import check_dataset, open_dataset, open_layout
from tests.support.data_folders import random_label, write_image, write_mask

NAMES = ("0001", "0002", "0003")
FOLDERS = "classes: [x, y]\nsplits: {train: {images: images, masks: masks%s}}"
PAIRS = "classes: [x, y]\nsplits: {train: {list: train.txt}}"


def write(root: Path, text: str, *, image: str = "{}.jpg", mask: str = "{}.png", names=NAMES) -> Path:
    for seed, name in enumerate(names):
        write_image(root / "images" / image.format(name), seed=seed)
        write_mask(root / "masks" / mask.format(name), random_label(2, seed))
    path = root / "data.yaml"
    path.write_text(text)
    return path


def advice_of(path: Path) -> str:
    """Returns the message of opening a data set, which `data check` has in its finding as well."""
    with pytest.raises(DatasetError) as caught:
        open_dataset(path)
    advice = open_layout(path).files("train").advice
    assert advice is not None
    assert advice in str(caught.value)
    (finding,) = (f for f in check_dataset(open_layout(path)).findings if f.kind == "missing")
    assert finding.advice == advice
    return advice


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("image,mask", "line 1, 'image,mask', is a header or a comment, not a file; delete it"),
        ("# my images", "line 1, '# my images', is a header or a comment, not a file; delete it"),
        ("images\\0001.jpg", r"line 1, 'images\\0001.jpg', has backslashes, as Windows has them; write `0001.jpg`"),
        ("C:\\data\\images\\0001.jpg", "has backslashes, as Windows has them; write `0001.jpg`"),
        ("images/0001.jpg", "is not the path of an image below {images}; write `0001.jpg`"),
        ("./0001.jpg", "is not the path of an image below {images}; write `0001.jpg`"),
        ("/home/me/data/images/0001.jpg", "is not the path of an image below {images}; write `0001.jpg`"),
        ("0001.png", "is not the path of an image below {images}; write `0001`"),
        ("0001.JPG", "is not the path of an image below {images}; write `0001.jpg`"),
        ('"0001.jpg"', "is written in quotes; write `0001.jpg`"),
        ("0001 -1", "line 1, '0001 -1', holds more than a name; write `0001`"),
        ("0001.jpg 0001.png", "names two files; with `images` and `masks` a list names images only: write `0001.jpg`"),
    ],
)
def test_lines_of_a_list_of_images(tmp_path, line, expected):
    path = write(tmp_path, FOLDERS % ", list: train.txt")
    (tmp_path / "train.txt").write_text(f"{line}\n0002\n")
    assert expected.format(images=tmp_path / "images") in advice_of(path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("image mask", "line 1, 'image mask', is a header or a comment, not a file; delete it"),
        ("images\\0001.jpg masks\\0001.png", "write `images/0001.jpg masks/0001.png`"),
        ('"images/0001.jpg","masks/0001.png"', "is written in quotes; write `images/0001.jpg,masks/0001.png`"),
    ],
)
def test_lines_of_a_list_of_pairs(tmp_path, line, expected):
    path = write(tmp_path, PAIRS)
    (tmp_path / "train.txt").write_text(f"{line}\nimages/0002.jpg masks/0002.png\n")
    assert expected in advice_of(path)


def test_a_header_of_three_columns_is_named(tmp_path):
    path = write(tmp_path, PAIRS)
    (tmp_path / "train.txt").write_text("id,image,mask\n0,images/0001.jpg,masks/0001.png\n")
    with pytest.raises(DatasetError, match="'id,image,mask', is a header or a comment, not a file; delete it"):
        open_dataset(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_list_in_utf_16_says_how_to_convert_it(tmp_path, encoding):
    path = write(tmp_path, FOLDERS % ", list: train.txt")
    (tmp_path / "train.txt").write_bytes("0001\r\n0002\r\n".encode(encoding))
    with pytest.raises(DatasetError, match=r"train\.txt, is not UTF-8 but probably UTF-16.*`iconv -f UTF-16 -t UTF-8`"):
        open_dataset(path)


@pytest.mark.parametrize("content", ["0001\r\n\r\n\r\n0002\r\n", "\ufeff0001\n0002", "  0001  \n\t0002\n"])
def test_lists_of_other_programs_are_read(tmp_path, content):
    path = write(tmp_path, FOLDERS % ", list: train.txt")
    (tmp_path / "train.txt").write_bytes(content.encode())
    assert [sample.name for sample in open_dataset(path)] == ["0001", "0002"]


def test_a_list_in_another_encoding_names_the_line(tmp_path):
    path = write(tmp_path, FOLDERS % ", list: train.txt")
    (tmp_path / "train.txt").write_bytes("0001\nstraße\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="byte 0xdf in line 2 is not UTF-8; save the list as text in UTF-8"):
        open_dataset(path)


@pytest.mark.parametrize("line", ["x" * 5000, "a\x07b", "\x1b[31mred"])
def test_lines_that_are_no_paths(tmp_path, line):
    path = write(tmp_path, FOLDERS % ", list: train.txt")
    (tmp_path / "train.txt").write_text(line)
    with pytest.raises(DatasetError, match=r"train\.txt: line 1, .*, is not the path of a file"):
        open_dataset(path)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (FOLDERS % ", list: train.txt", ["0001", "0002", "0001"]),
        (PAIRS, ["images/0001.jpg masks/0001.png", "images/0002.jpg masks/0002.png", "images/0001.jpg masks/0001.png"]),
    ],
)
def test_doubled_lines_count_once_and_are_named(tmp_path, text, lines):
    path = write(tmp_path, text)
    (tmp_path / "train.txt").write_text("\n".join(lines))
    assert len(open_dataset(path)) == 2
    (finding,) = check_dataset(open_layout(path)).findings
    assert (finding.kind, finding.severity) == ("repeated_line", "warning")
    assert finding.files[0].detail == f"line 3, {lines[0]!r} repeats line 1"


def test_an_image_with_two_masks_is_an_error(tmp_path):
    path = write(tmp_path, PAIRS)
    (tmp_path / "train.txt").write_text("images/0001.jpg masks/0001.png\nimages/0001.jpg masks/0002.png\n")
    with pytest.raises(DatasetError, match=r"the list has two masks for .*0001\.jpg, in line 1, .*, and in line 2, "):
        open_dataset(path)


@pytest.mark.parametrize(
    ("image", "mask", "expected"),
    [
        (
            "{}.jpg",
            "mask_{}.png",
            "for the image 0001: masks have the prefix 'mask_'; rename the masks to",
        ),
        ("{}.jpg", "mask_{}.png", "with lines such as `images/0001.jpg masks/mask_0001.png`"),
        ("{}.jpg", "{}_mask.png", "contains 0001_mask.png for the image 0001; write `mask_suffix: _mask.png`"),
        ("{}.jpg", "{}.tif", "masks contains 0001.tif for the image 0001; write `mask_suffix: .tif`"),
        ("img_{}.jpg", "gt_{}.png", "images are named img_..., but masks gt_...; rename the masks to img_0001.png"),
        ("{}.jpg", "city/{}.png", "contains city/0001.png for the image 0001: masks need the folders of their images"),
    ],
)
def test_masks_of_other_names(tmp_path, image, mask, expected):
    assert expected in advice_of(write(tmp_path, FOLDERS % "", image=image, mask=mask))


def test_an_empty_folder_of_masks(tmp_path):
    path = write(tmp_path, FOLDERS % "")
    for file in (tmp_path / "masks").iterdir():
        file.unlink()
    assert advice_of(path) == f"{tmp_path / 'masks'} is empty; correct `masks`"


ANNOTATIONS = {
    "LabelMe": {"version": "5.0", "shapes": [], "imageData": "A" * 200_000},
    "COCO": {"images": [], "annotations": []},
}


@pytest.mark.parametrize("tool", ANNOTATIONS)
def test_annotations_in_place_of_masks(tmp_path, tool):
    path = write(tmp_path, FOLDERS % "")
    for name in NAMES:
        (tmp_path / f"masks/{name}.png").unlink()
        (tmp_path / f"masks/{name}.json").write_text(json.dumps(ANNOTATIONS[tool]))
    assert f"it is an annotation of {tool}, which holds polygons" in advice_of(path)


def test_annotations_in_a_list_and_as_a_description(tmp_path):
    path = write(tmp_path, PAIRS)
    annotation = tmp_path / "images/0001.json"
    annotation.write_text(json.dumps(ANNOTATIONS["LabelMe"]))
    (tmp_path / "train.txt").write_text("images/0001.jpg images/0001.json\n")
    with pytest.raises(ImageError, match=r"annotation of LabelMe, which holds polygons; draw .*`labelme2voc\.py`"):
        open_dataset(path)[0]
    with pytest.raises(ConfigError, match=r"0001\.json is not a description of a data set: it is an annotation of L"):
        open_dataset(annotation)


def test_images_of_formats_that_are_not_read(tmp_path):
    path = write(tmp_path, FOLDERS % "")
    (tmp_path / "images/0004.HEIC").touch()
    (finding,) = check_dataset(open_layout(path)).findings
    assert (finding.kind, finding.severity) == ("unread_picture", "warning")
    assert [file.path.name for file in finding.files] == ["0004.HEIC"]
    for image in (tmp_path / "images").glob("*.jpg"):
        image.unlink()
    with pytest.raises(DatasetError, match=r"it contains 1 file of another format \(HEIC\); correct `images`"):
        open_dataset(path)


def test_equal_pictures_in_two_splits_are_found_by_content(tmp_path):
    path = write(tmp_path, "classes: [x, y]\nsplits:\n  train: {images: images, masks: masks}\n")
    path.write_text(path.read_text() + "  val: {images: val, masks: valmasks}\n")
    (tmp_path / "val").mkdir()
    Image.open(tmp_path / "images/0002.jpg").save(tmp_path / "val/other.png")  # another name, format and size
    write_image(tmp_path / "val/new.png", seed=77)
    for name in ("other", "new"):
        write_mask(tmp_path / f"valmasks/{name}.png", random_label(2))
    (finding,) = check_dataset(open_layout(path)).findings
    assert (finding.kind, finding.split) == ("shared_image", "val")
    assert [file.path.name for file in finding.files] == ["other.png"]
    assert finding.files[0].detail == f"in train and val, there as {tmp_path / 'images/0002.jpg'}"


def test_hard_and_symbolic_links_in_two_splits_are_found(tmp_path):
    path = write(tmp_path, "classes: [x, y]\nsplits:\n  train: {images: images, masks: masks}\n")
    path.write_text(path.read_text() + "  val: {images: val, masks: valmasks}\n")
    (tmp_path / "val").mkdir()
    (tmp_path / "val/soft.jpg").symlink_to(tmp_path / "images/0001.jpg")
    (tmp_path / "val/hard.jpg").hardlink_to(tmp_path / "images/0002.jpg")
    for name in ("soft", "hard"):
        write_mask(tmp_path / f"valmasks/{name}.png", random_label(2))
    (finding,) = check_dataset(open_layout(path)).findings
    assert sorted(file.path.name for file in finding.files) == ["hard.jpg", "soft.jpg"]


def test_black_frames_are_not_equal_pictures(tmp_path):
    path = write(tmp_path, "classes: [x, y]\nsplits:\n  train: {images: images, masks: masks}\n", image="{}.png")
    path.write_text(path.read_text() + "  val: {images: val, masks: valmasks}\n")
    for name in (tmp_path / "images/0001.png", tmp_path / "val/0009.png"):
        write_mask(name, np.zeros((12, 20, 3), np.uint8))
    write_mask(tmp_path / "valmasks/0009.png", random_label(2))
    assert check_dataset(open_layout(path)).findings == ()
