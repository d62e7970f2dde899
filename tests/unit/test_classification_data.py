"""Images with one class each, or without classes: layouts, bad files, and what is read of them."""

from __future__ import annotations

import os
import pickle
import shutil
import threading
import zipfile
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytest

from rapidseg.core.errors import DatasetError, InputError
from rapidseg.data.classification import LAYOUTS, check_classes, open_images
from rapidseg.data.classification.cifar_pickle import load_cifar_pickle
from rapidseg.data.classification.file_trees import open_tree
from rapidseg.imaging import read_image
from tests.conftest import SHARED
from tests.support.cifar_files import CIFAR10_FILES, CIFAR10_NAMES, python2_pickle, write_cifar

CIFAR10_JPEG = SHARED / "data" / "cifar10" / "cifar10-jpeg.zip"


def write_image(path: Path, value: int = 0, size_hw: tuple[int, int] = (6, 5)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((*size_hw, 3), value, np.uint8))
    return path


@pytest.fixture
def pets(tmp_path) -> Path:
    """ImageNet's layout with gray images: value 10 and more in cat, 20 and more in dog."""
    root = tmp_path / "pets"
    for split, count in (("train", 4), ("val", 2)):
        for base, name in ((10, "cat"), (20, "dog")):
            for number in range(count):
                write_image(root / split / name / f"{number}.png", base + number)
    return root


def zip_folder(root: Path, file: Path, compression: int = zipfile.ZIP_STORED, prefix: str = "") -> Path:
    with zipfile.ZipFile(file, "w", compression) as archive:
        for path in sorted(root.rglob("*"), reverse=True):
            archive.write(path, prefix + path.relative_to(root).as_posix())
    return file


def values_of(images) -> list[int]:
    return [int(image[0, 0, 0]) for image in images]


class Reports:
    def __init__(self):
        self.tasks, self.messages = {}, []

    def update(self, task, done, total, *, unit="items"):
        self.tasks[task] = (done, total)

    def metrics(self, step, values): ...

    def message(self, text):
        self.messages.append(text)


# CIFAR


@pytest.mark.parametrize("num_classes", [10, 100])
@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_cifar(tmp_path, num_classes, pickled, in_folder, zipped):
    published = {10: ("cifar-10-batches-bin", "cifar-10-batches-py"), 100: ("cifar-100-binary", "cifar-100-python")}
    root = tmp_path / "data"
    folder = root / published[num_classes][pickled] if in_folder else root
    contents = write_cifar(folder, num_classes, pickled=pickled)
    path = zip_folder(root, tmp_path / "data.zip", zipfile.ZIP_DEFLATED) if zipped else root
    train_files = [file for file in contents if "test" not in file]
    for split, files in (("train", train_files), ("test", [contents.keys() - train_files]), ("train+test", contents)):
        files = list(files[0]) if split == "test" else files
        images = open_images(path, split)
        pixels = np.concatenate([contents[file][0] for file in files])
        assert (images.name, images.split, len(images)) == (f"cifar{num_classes}", split, len(pixels))
        assert images.size_hw == (32, 32)
        assert images.labels.dtype == np.int64
        np.testing.assert_array_equal(images.labels, np.concatenate([contents[file][1] for file in files]))
        np.testing.assert_array_equal(np.stack(list(images)), pixels)
        np.testing.assert_array_equal(images.load(pixels.nbytes), pixels)
        assert images.load(pixels.nbytes - 1) is None
        check_classes(images)
    assert images.class_names == CIFAR10_NAMES if num_classes == 10 else images.class_names[99] == "name_99"
    suffix = "" if pickled else ".bin"
    assert images.image_name(12) == (f"data_batch_2{suffix} image 2" if num_classes == 10 else f"test{suffix} image 2")
    assert images.subset([3, 12]).image_name(1) == images.image_name(12)
    with pytest.raises(DatasetError, match=rf"^cifar{num_classes} has no split 'val'; available: train, test"):
        open_images(path, "val")


@pytest.mark.parametrize("num_classes", [10, 100])
@pytest.mark.parametrize("pickled", [False, True])
def test_cifar_without_the_file_of_names_has_numbers_as_names(tmp_path, num_classes, pickled):
    write_cifar(tmp_path, num_classes, pickled=pickled)
    for file in ("batches.meta", "meta", "batches.meta.txt", "fine_label_names.txt"):
        (tmp_path / file).unlink(missing_ok=True)
    assert open_images(tmp_path, "test").class_names == tuple(map(str, range(num_classes)))


@pytest.mark.parametrize(("num_classes", "file", "record"), [(10, "data_batch_2.bin", 3073), (100, "train.bin", 3074)])
@pytest.mark.parametrize("kept", [0, 5000])
def test_truncated_binary_file(tmp_path, num_classes, file, record, kept):
    write_cifar(tmp_path, num_classes, pickled=False)
    os.truncate(tmp_path / file, kept)
    with pytest.raises(DatasetError, match=rf"{file}: has {kept:,} bytes; expected a multiple of {record:,}"):
        open_images(tmp_path)


def test_binary_file_with_impossible_labels(tmp_path):
    write_cifar(tmp_path, 10, pickled=False)
    content = bytearray((tmp_path / "test_batch.bin").read_bytes())
    content[3 * 3073] = 10
    (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(DatasetError, match=r"test_batch\.bin: image 3 has the label 10; allowed are 0 to 9"):
        open_images(tmp_path, "test")


def test_missing_batches_are_named(tmp_path):
    write_cifar(tmp_path, 10, pickled=True)
    for number in (3, 5):
        (tmp_path / f"data_batch_{number}").unlink()
    with pytest.raises(DatasetError, match=r"data_batch_3, data_batch_5 of cifar10 train are missing"):
        open_images(tmp_path)
    assert len(open_images(tmp_path, "test")) == 10


def test_wrong_number_of_names(tmp_path):
    write_cifar(tmp_path, 10, pickled=False)
    (tmp_path / "batches.meta.txt").write_text("cat\ndog\n")
    with pytest.raises(DatasetError, match=r"batches\.meta\.txt: 2 class names; cifar10 has 10"):
        open_images(tmp_path)


def test_two_versions_in_one_folder_need_a_layout(tmp_path):
    write_cifar(tmp_path / "cifar-10-batches-py", 10, pickled=True)
    write_cifar(tmp_path / "cifar-100-python", 100, pickled=True)
    with pytest.raises(DatasetError, match=r"contains cifar10-python and cifar100-python; set the layout to one"):
        open_images(tmp_path)
    assert open_images(tmp_path, layout="cifar100-python").name == "cifar100"
    with pytest.raises(DatasetError, match=r"no files of the layout cifar10-binary: expected data_batch_1\.bin, .*"):
        open_images(tmp_path, layout="cifar10-binary")


# Pickles


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [os.system, eval, exec, open, getattr, np.load], ids=lambda f: f.__name__)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_runs_code_is_rejected_and_not_run(tmp_path, function, protocol):
    write_cifar(tmp_path, 10, pickled=True)
    marker = tmp_path / "marker"
    argument = f"touch {marker}" if function is os.system else f"open({str(marker)!r}, 'w').close()"
    arguments = (str(marker), "w") if function is open else (argument,)
    evil = {"data": Call(function, *arguments), "labels": []}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(evil, protocol))
    with pytest.raises(DatasetError) as raised:
        open_images(tmp_path, "test")
    assert str(raised.value).startswith(f"{tmp_path / 'test_batch'}: this pickle asks for ")
    assert function.__name__ in str(raised.value)
    assert not marker.exists()


def test_the_name_file_is_not_trusted_either(tmp_path):
    write_cifar(tmp_path, 10, pickled=True)
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({"label_names": Call(os.system, "true")}, 2))
    with pytest.raises(DatasetError, match=r"batches\.meta: this pickle asks for (posix|nt)\.system"):
        open_images(tmp_path)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_that_python_3_wrote(protocol):
    data = np.arange(12, dtype=np.uint8).reshape(2, 6)
    values = {"data": data, "labels": [1, 2], b"names": [b"a", b"\xff", b""]}
    read = load_cifar_pickle(pickle.dumps(values, protocol), "x")
    np.testing.assert_array_equal(read["data"], data)
    assert read["data"].dtype == np.uint8
    assert (read["labels"], read["names"]) == ([1, 2], [b"a", b"\xff", b""])


@pytest.mark.parametrize("old", [b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n"])
def test_arrays_of_old_and_new_numpy(old):
    content = python2_pickle({b"data": np.arange(3, dtype=np.uint8)})
    assert b"cnumpy.core.multiarray\n" in content
    content = content.replace(b"cnumpy.core.multiarray\n", old)
    np.testing.assert_array_equal(load_cifar_pickle(content, "x")["data"], [0, 1, 2])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        python2_pickle({b"data": np.zeros(300, np.uint8)})[:-100],
        python2_pickle({b"data": np.zeros(3, np.float32)}),
        python2_pickle({b"data": np.zeros((2, 2), np.uint8, order="F")}),
        python2_pickle({b"data": np.array([{}, {}])}),
        python2_pickle([1, 2]),
    ],
)
def test_damaged_and_other_pickles(content):
    with pytest.raises(DatasetError, match=r"^my/file:? ?.*; download it again$"):
        load_cifar_pickle(content, "my/file")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]},
        {b"data": np.zeros((2, 9), np.uint8), b"labels": [1, 1]},
        {b"data": np.zeros((0, 3072), np.uint8), b"labels": []},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [b"1"]},
        {b"data": b"x", b"labels": [1]},
        {b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": [1]},
    ],
)
def test_pickles_without_images(tmp_path, values):
    (tmp_path / "test_batch").write_bytes(python2_pickle(values))
    with pytest.raises(DatasetError, match=r"test_batch: not images of cifar10: expected `data` \(N, 3,072\)"):
        open_images(tmp_path, "test")


# Folders and zip files


def test_folder_per_class(pets):
    write_image(pets / "train/cat/deep/er/9.jpeg", 19)
    (pets / "train/cat/.hidden.png").write_bytes(b"x")
    (pets / "train/cat/notes.txt").write_text("x")
    (pets / "train/.cache").mkdir()
    images = open_images(pets)
    assert (images.name, images.split, images.class_names) == ("pets", "train", ("cat", "dog"))
    assert images.labels.tolist() == [0] * 5 + [1] * 4
    assert images.labels.dtype == np.int64
    assert values_of(images) == [10, 11, 12, 13, 19, 20, 21, 22, 23]
    assert images[-1].shape == (6, 5, 3)
    assert images[0].dtype == np.uint8
    assert images.image_name(-1) == str(pets / "train/dog/3.png")
    assert images.size_hw is None
    check_classes(images)
    joined = open_images(pets, "val+train")
    assert values_of(joined)[:5] == [10, 11, 20, 21, 10]
    assert joined.split == "val+train"
    with pytest.raises(DatasetError, match=r"^pets has no split 'tran'; available: train, val \(did you mean 'train'"):
        open_images(pets, "tran")
    with pytest.raises(IndexError):
        images[9]


@pytest.mark.parametrize("suffix", [".JPEG", ".jpg", ".png", ".webp", ".bmp", ".tif"])
def test_every_suffix_and_size(tmp_path, suffix):
    write_image(tmp_path / "train/a" / f"1{suffix}", 200, (7, 9))
    write_image(tmp_path / "train/b" / f"1{suffix}", 100, (3, 4))
    images = open_images(tmp_path)
    assert [image.shape for image in images] == [(7, 9, 3), (3, 4, 3)]
    assert images.load(1 << 20) is None
    assert images.size_hw is None


@pytest.mark.parametrize("layout", ["auto", "class-folders"])
def test_classes_without_folders_of_splits(pets, layout):
    images = open_images(pets / "train", layout=layout)
    assert (images.name, images.class_names, len(images)) == ("train", ("cat", "dog"), 8)
    with pytest.raises(DatasetError, match=r"^train has no split 'val'; available: train"):
        open_images(pets / "train", "val", layout=layout)


def test_a_class_may_be_called_train(tmp_path):
    for name in ("bus", "car", "train"):
        write_image(tmp_path / name / "1.png")
    assert open_images(tmp_path).class_names == ("bus", "car", "train")


def test_ids_follow_the_training_classes(pets):
    shutil.rmtree(pets / "val/cat")
    images = open_images(pets, "val")
    assert images.class_names == ("cat", "dog")
    assert images.labels.tolist() == [1, 1]
    write_image(pets / "val/emu/1.png")
    with pytest.raises(DatasetError, match=r"val: the class folder emu does not exist in .*train, which defines"):
        open_images(pets, "val")
    assert len(open_images(pets, "train")) == 8
    shutil.rmtree(pets / "train")
    assert open_images(pets, "val").class_names == ("dog", "emu")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("prefix", ["", "./", "pets-1.0/", "/", "a/b/"])
def test_zip_is_read_in_place(pets, tmp_path, compression, prefix):
    write_image(pets / "train/cat/deep/9.png", 19)
    file = zip_folder(pets, tmp_path / "zipped.zip", compression, prefix)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"{prefix}train/cat/.DS_Store", b"x")
        archive.writestr("__MACOSX/train/cat/._1.png", b"x")
    before = sorted(tmp_path.rglob("*"))
    images = open_images(file, "train+val")
    plain = open_images(pets, "train+val")
    assert (images.name, images.class_names) == ("zipped", plain.class_names)
    np.testing.assert_array_equal(images.labels, plain.labels)
    assert values_of(images) == values_of(plain)
    assert images.image_name(0).startswith(str(file))
    assert images.image_name(0).endswith("train/cat/0.png")
    assert sorted(tmp_path.rglob("*")) == before


def test_zip_with_backslashes_and_a_prefix_of_bytes(pets, tmp_path):
    file = tmp_path / "x.zip"
    content = (pets / "train/cat/1.png").read_bytes()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("train/a/1.png", "train/b/1.png"):
            info = zipfile.ZipInfo(name)
            info.filename = name.replace("/", "\\")
            archive.writestr(info, content)
    file.write_bytes(b"a self-extracting program" + file.read_bytes())
    images = open_images(file)
    assert images.class_names == ("a", "b")
    assert values_of(images) == [11, 11]


def test_links_to_folders_are_followed_but_not_in_circles(pets, tmp_path):
    root = tmp_path / "links"
    (root / "train").mkdir(parents=True)
    (root / "train/cat").symlink_to(pets / "train/cat")
    (root / "train/dog").symlink_to(pets / "train/dog")
    (pets / "train/cat/again").symlink_to(pets / "train/cat")
    assert len(open_images(root)) == 8


def test_images_without_classes(tmp_path):
    root = tmp_path / "photos"
    write_image(root / "b.png", 2)
    write_image(root / "a.jpg", 1)
    images = open_images(root)
    assert (images.name, images.class_names, images.labels, len(images)) == ("photos", (), None, 2)
    write_image(root / "more/deep/c.png", 3)
    with pytest.raises(DatasetError, match=r"photos: contains 2 images directly and the folders more; set the layout"):
        open_images(root)
    assert len(open_images(root, layout="unlabeled")) == 3
    assert len(open_images(zip_folder(root, tmp_path / "x.zip"), layout="unlabeled")) == 3
    images = open_images(root, layout="class-folders")
    assert (images.class_names, len(images)) == (("more",), 1)


def test_splits_without_classes(tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        for number in range(count):
            write_image(tmp_path / split / f"{number}.png")
    assert [len(open_images(tmp_path, split)) for split in ("train", "test", "train+test")] == [3, 2, 5]
    assert open_images(tmp_path).labels is None


def test_a_test_split_without_classes_beside_one_with(pets):
    write_image(pets / "test/1.png")
    with pytest.raises(DatasetError, match=r"test: expected one folder per class, but it contains 1 images without"):
        open_images(pets, "test")
    assert len(open_images(pets, "test", layout="unlabeled")) == 1
    assert open_images(pets, "train", layout="unlabeled").labels is None


# Bad input


@pytest.mark.parametrize("layout", ["imagenet", "cifar10-bin", "unlabelled", ""])
def test_unknown_layout(pets, layout):
    with pytest.raises(InputError, match=f"unknown layout '{layout}'; choose from auto, cifar10-binary") as raised:
        open_images(pets, layout=layout)
    if layout == "unlabelled":
        assert str(raised.value).endswith("(did you mean 'unlabeled'?)")


def test_missing_root_and_other_files(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere: no such folder or zip file"):
        open_images(tmp_path / "nowhere")
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"tar\.gz: only folders and \.zip files are read; extract"):
        open_images(tmp_path / "cifar-10-python.tar.gz")
    (tmp_path / "x.zip").write_bytes(b"PK no zip")
    with pytest.raises(DatasetError, match=r"x\.zip: not a zip file, or a damaged one"):
        open_images(tmp_path / "x.zip")


@pytest.mark.parametrize("layout", ["auto", "class-folders", "unlabeled"])
def test_no_images(tmp_path, layout):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DatasetError, match="no images"):
        open_images(tmp_path, layout=layout)
    (tmp_path / "train").mkdir()
    with pytest.raises(DatasetError, match=r"train.*no images"):
        open_images(tmp_path, layout=layout)


def test_empty_class_folder(pets):
    (pets / "train/emu").mkdir()
    with pytest.raises(DatasetError, match=r"train/emu: this class folder contains no images .*; add images or remove"):
        open_images(pets)


def test_one_class_or_none(pets, tmp_path):
    shutil.rmtree(pets / "train/dog")
    images = open_images(pets)
    assert len(images) == 4
    with pytest.raises(DatasetError, match=r"^pets train: all 4 images have one class, 'cat'; this method needs 2"):
        check_classes(images)
    single = tmp_path / "single"
    write_image(single / "cat/1.png")
    assert open_images(single).class_names == ("cat",)
    with pytest.raises(DatasetError, match=r"^pets train: these images have no classes, which this method needs"):
        check_classes(open_images(pets, layout="unlabeled"))


@pytest.mark.parametrize(
    ("folders", "reason"),
    [
        (["train", "trainannot", "val", "valannot"], "the folders train and trainannot"),
        (["images/train", "masks/train"], "the folders images and masks"),
        (["JPEGImages", "SegmentationClass"], "the folders JPEGImages and SegmentationClass"),
        (["leftImg8bit/train/bonn", "gtFine/train/bonn"], "the folders leftImg8bit and gtFine"),
    ],
)
def test_segmentation_data_is_refused(tmp_path, folders, reason):
    for folder in folders:
        write_image(tmp_path / folder / "1.png")
    with pytest.raises(DatasetError, match=rf"looks like segmentation data \({reason}\).* 'unlabeled'"):
        open_images(tmp_path)
    if folders[0] == "train":  # the split tells its images from the masks
        assert len(open_images(tmp_path, layout="unlabeled")) == 1
    else:
        with pytest.raises(DatasetError, match="looks like segmentation data"):
            open_images(tmp_path, layout="unlabeled")
        assert len(open_images(tmp_path / folders[0], layout="unlabeled")) == 1


def test_cities_are_not_classes(tmp_path):
    for city in ("bonn", "ulm"):
        write_image(tmp_path / "train" / city / f"{city}_000000_000019_leftImg8bit.png")
    with pytest.raises(DatasetError, match="Cityscapes images in folders of cities"):
        open_images(tmp_path)
    assert len(open_images(tmp_path, layout="unlabeled")) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
@pytest.mark.parametrize("zipped", [False, True])
def test_damaged_images_are_named_or_skipped(pets, tmp_path, damage, zipped):
    bad = pets / "train/dog/1.jpg"
    write_image(bad, size_hw=(64, 64))
    content = bad.read_bytes()
    bad.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"not an image"}[damage])
    root = zip_folder(pets, tmp_path / "x.zip") if zipped else pets
    images = open_images(root)
    index = next(i for i in range(len(images)) if images.image_name(i).endswith("1.jpg"))
    name = images.image_name(index)
    for read in (lambda: images[index], lambda: images.load(1 << 20)):
        with pytest.raises(DatasetError) as raised:
            read()
        assert str(raised.value).startswith(f"{name}: ")
        assert str(raised.value).endswith("; to skip unreadable images, set data.skip_unreadable=true")
        assert damage != "empty" or "the file is empty" in str(raised.value)
    reports = Reports()
    readable = open_images(root, skip_unreadable=True, progress=reports)
    assert readable.skipped == (name,)
    assert reports.tasks["checking images"] == (9, 9)
    assert len(reports.messages) == 1
    assert reports.messages[0].startswith(f"{readable.name} train: skipped 1 unreadable image: {name}: ")
    assert readable.labels.tolist() == [0] * 4 + [1] * 4
    assert readable.size_hw == (6, 5)
    np.testing.assert_array_equal(readable.load(1 << 20), np.stack(list(readable)))


def test_nothing_readable_of_a_class_or_at_all(pets):
    for path in (pets / "train/dog").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"^pets train: no image of class 'dog' can be read; .*train/dog/0\.png"):
        open_images(pets, skip_unreadable=True)
    for path in (pets / "train/cat").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"^pets train: no image can be read; the first: .*train/cat/0\.png"):
        open_images(pets, skip_unreadable=True)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_zip(pets, tmp_path, compression):
    file = zip_folder(pets, tmp_path / "x.zip", compression)
    whole = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        offset = archive.getinfo("train/dog/3.png").header_offset
    damaged = bytearray(whole)
    damaged[offset + 60] ^= 0xFF
    file.write_bytes(damaged)
    images = open_images(file)
    with pytest.raises(DatasetError, match=r"x\.zip/train/dog/3\.png: .* zip file .*copy or download the zip file"):
        images.load(1 << 20)
    assert open_images(file, skip_unreadable=True).skipped == (str(file / "train/dog/3.png"),)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"x\.zip: not a zip file, or a damaged one"):
        open_images(file)
    with pytest.raises(DatasetError, match=r"x\.zip/train/cat/0\.png: "):  # the last in the file
        images[0]


def test_zip_compressed_in_another_way(pets, tmp_path):
    file = zip_folder(pets, tmp_path / "x.zip", zipfile.ZIP_BZIP2)
    with pytest.raises(DatasetError, match=r"compressed in another way than by deflate; extract the zip"):
        open_images(file)


def test_damaged_zip_of_cifar(tmp_path):
    write_cifar(tmp_path / "data", 10, pickled=False)
    file = zip_folder(tmp_path / "data", tmp_path / "x.zip")
    with zipfile.ZipFile(file) as archive:
        offset = archive.getinfo("test_batch.bin").header_offset
    content = bytearray(file.read_bytes())
    content[offset + 500] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=r"x\.zip/test_batch\.bin: damaged in the zip file"):
        open_images(file, "test")


# Limits, loading, processes


@pytest.mark.parametrize("source", ["folder", "cifar"])
def test_limit_takes_the_first_of_a_balanced_order(tmp_path, source):
    if source == "cifar":
        write_cifar(tmp_path, 10, pickled=False)
    else:
        for name, count in (("a", 9), ("b", 2), ("c", 5)):
            for number in range(count):
                write_image(tmp_path / "train" / name / f"{number}.png", 16 * number + ord(name) - 96)
    everything = open_images(tmp_path)
    names = [everything.image_name(index) for index in range(len(everything))]
    whole = open_images(tmp_path, limit=10**6)
    order = [whole.image_name(index) for index in range(len(whole))]
    assert sorted(order) == sorted(names)
    assert order != names
    totals = np.bincount(everything.labels)
    for limit in (1, 2, 3, 7, 11, 16):
        images = open_images(tmp_path, limit=limit)
        assert [images.image_name(index) for index in range(len(images))] == order[:limit]
        assert images.class_names == everything.class_names
        counts = np.bincount(images.labels, minlength=len(totals))
        assert all(counts[i] >= counts[j] - 1 or counts[i] == totals[i] for i in range(3) for j in range(3))
        for index in range(limit):
            original = names.index(images.image_name(index))
            assert images.labels[index] == everything.labels[original]
            np.testing.assert_array_equal(images[index], everything[original])


def test_the_order_is_the_same_everywhere(pets):
    images = open_images(pets, limit=4)
    assert values_of(images) == [13, 22, 12, 23]
    assert values_of(open_images(pets, layout="unlabeled", limit=4)) == [13, 12, 11, 22]


@pytest.mark.parametrize("limit", [0, -1])
def test_impossible_limit(pets, limit):
    with pytest.raises(InputError, match=f"limit is {limit}; pass the number of images to take, 1 or more"):
        open_images(pets, limit=limit)


def test_load(tmp_path):
    for number in range(150):
        write_image(tmp_path / "ab"[number % 2] / f"{number:03}.png", number)
    images = open_images(tmp_path)
    size = 150 * 6 * 5 * 3
    assert images.load(size - 1) is None
    assert images.size_hw is None
    reports = Reports()
    pixels = images.load(size, progress=reports)
    assert reports.tasks == {"decoding images": (150, 150)}
    assert (pixels.shape, pixels.dtype, images.size_hw) == ((150, 6, 5, 3), np.uint8, (6, 5))
    assert pixels.flags.writeable
    assert pixels[:, 0, 0, 0].tolist() == [*range(0, 150, 2), *range(1, 150, 2)]
    write_image(tmp_path / "a/004.png", size_hw=(5, 6))  # between the images that are looked at first
    images = open_images(tmp_path)
    assert images.load(1 << 20) is None
    assert images.size_hw is None
    assert open_images(tmp_path, skip_unreadable=True).size_hw is None


def first_values(images, queue):
    queue.put(values_of(images))


@pytest.mark.parametrize("kind", ["folder", "zip", "cifar"])
def test_other_processes_and_threads_read_the_same(pets, tmp_path, kind):
    root = pets
    if kind == "zip":
        root = zip_folder(pets, tmp_path / "x.zip", zipfile.ZIP_DEFLATED)
    if kind == "cifar":
        root = tmp_path / "cifar"
        write_cifar(root, 10, pickled=False, per_file=2)
    images = open_images(root)
    expected = values_of(images)
    assert values_of(pickle.loads(pickle.dumps(images))) == expected
    context = get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=first_values, args=(images, queue))
    process.start()
    assert queue.get(timeout=60) == expected
    process.join(60)
    results = []
    threads = [threading.Thread(target=lambda: results.append(values_of(images))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [expected] * 8


def test_every_layout_is_tested():
    assert LAYOUTS == (
        "auto",
        "cifar10-binary",
        "cifar10-python",
        "cifar100-binary",
        "cifar100-python",
        "class-folders",
        "unlabeled",
    )
    assert len(CIFAR10_FILES) == 6


def test_real_cifar10(tmp_path):
    if not CIFAR10_JPEG.exists():
        pytest.skip(f"the JPEG copy of CIFAR-10 is not at {CIFAR10_JPEG}")
    images = open_images(CIFAR10_JPEG, "test", limit=500)
    assert images.class_names == CIFAR10_NAMES
    assert np.bincount(images.labels).tolist() == [50] * 10
    pixels = images.load(1 << 30)
    assert pixels.shape == (500, 32, 32, 3)
    (tmp_path / "x.jpg").write_bytes(open_tree(CIFAR10_JPEG).read_bytes(images.image_name(7).split(".zip/")[1]))
    np.testing.assert_array_equal(read_image(tmp_path / "x.jpg"), pixels[7])
    assert len(open_images(CIFAR10_JPEG, "train+test")) == 60_000
