"""Data sets that a YAML file describes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from rapidseg.core.errors import ConfigError, DatasetError
from rapidseg.core.labels import LabelSet
from rapidseg.data import open_dataset, open_layout
from rapidseg.data.layouts.yaml_schema import DatasetDescription, read_description
from rapidseg.recipes.recipe_file import load_recipe
from tests.support.data_folders import SIZE_HW, random_label, write_image, write_mask, write_yaml_dataset

SPLITS = "\nsplits: {train: {images: a, masks: b}}"


def colored(label: np.ndarray, colors: list[tuple[int, int, int]]) -> np.ndarray:
    return np.array(colors, np.uint8)[label]


def test_ids_are_classes(tmp_path):
    label = random_label(3)
    label[0, 5] = 255
    path = write_yaml_dataset(tmp_path, "classes: [road, car, sky]", {"b": label, "a": label})
    dataset = open_dataset(path)
    assert dataset.labels == LabelSet.generic(3).model_copy(update={"names": ("road", "car", "sky")})
    assert (dataset.name, [sample.name for sample in dataset]) == ("data", ["a", "b"])
    np.testing.assert_array_equal(dataset[0].label, label)


def test_label_map_takes_names_ids_ignore_and_other(tmp_path):
    mask = np.array([[0, 7, 8, 300, 65535, 9]], np.uint16)
    text = "classes: [road, car]\nlabel_map: {7: car, 8: 0, 65535: ignore, other: ignore, 300: road}"
    path = write_yaml_dataset(tmp_path, text, {})
    write_mask(tmp_path / "masks/train/a.png", mask)
    write_image(tmp_path / "images/train/a.png", (1, 6))
    np.testing.assert_array_equal(open_dataset(path)[0].label, [[255, 1, 0, 0, 255, 255]])


def test_an_id_that_label_map_does_not_list_is_not_a_class(tmp_path):
    path = write_yaml_dataset(
        tmp_path, "classes: [road, car]\nlabel_map: {7: road, 8: car}", {"a": random_label(2) + 7}
    )
    np.testing.assert_array_equal(open_dataset(path)[0].label, random_label(2))
    write_mask(tmp_path / "masks/train/a.png", random_label(2))
    with pytest.raises(DatasetError, match=r"has values .*ids 7, 8 are classes, 255 is ignored.*`label_map`"):
        open_dataset(path)[0]


def test_palette_masks_are_ids(tmp_path):
    label = random_label(3)
    path = write_yaml_dataset(tmp_path, "classes: [road, car, sky]", {"a": label})
    picture = Image.fromarray(label)
    picture.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    picture.save(tmp_path / "masks/train/a.png")
    np.testing.assert_array_equal(open_dataset(path)[0].label, label)


COLORS = "classes: {road: [128, 64, 128], car: [0, 0, 142]}\nmask_format: colors\n"


def test_colors_are_classes(tmp_path):
    label = random_label(3)
    mask = colored(label, [(128, 64, 128), (0, 0, 142), (0, 0, 0)])
    path = write_yaml_dataset(tmp_path, COLORS + "label_map: {0 0 0: ignore}", {"a": mask})
    dataset = open_dataset(path)
    assert dataset.labels.palette == ((128, 64, 128), (0, 0, 142))
    np.testing.assert_array_equal(dataset[0].label, np.where(label == 2, 255, label))


def test_other_colors_can_be_ignored(tmp_path):
    mask = colored(random_label(3), [(128, 64, 128), (0, 0, 142), (9, 9, 9)])
    path = write_yaml_dataset(tmp_path, COLORS + "label_map: {other: ignore}", {"a": mask})
    assert (open_dataset(path)[0].label == 255).sum() == (random_label(3) == 2).sum()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            colored(random_label(2), [(128, 64, 128), (9, 8, 7)]),
            r"has color 9 8 7 at \d+ pixels, outside the classes \(known colors: 128 64",
        ),
        (colored(random_label(2), [(128, 64, 128), (142, 0, 0)]), r"red and blue are swapped"),
        (random_label(2), r"these masks contain ids, not colors; write `mask_format: ids`"),
        (
            np.random.default_rng(0).integers(0, 256, (12, 20, 3)).astype(np.uint8),
            r"so many different values mean",
        ),
    ],
)
def test_a_color_that_is_not_a_class_is_explained(tmp_path, mask, message):
    path = write_yaml_dataset(tmp_path, COLORS, {"a": mask})
    with pytest.raises(DatasetError, match=message):
        open_dataset(path)[0]


def test_colored_jpegs_are_explained(tmp_path):
    path = write_yaml_dataset(tmp_path, COLORS + "mask_suffix: .jpg", {"a": np.zeros(SIZE_HW, np.uint8)})
    write_mask(tmp_path / "masks/train/a.jpg", colored(random_label(2), [(128, 64, 128), (0, 0, 142)]))
    with pytest.raises(DatasetError, match=r"\.jpg is lossy and changes pixel values: save masks in a lossless format"):
        open_dataset(path)[0]


@pytest.mark.parametrize(
    ("classes", "mask", "message"),
    [
        ("[no car, car]", np.where(random_label(2) == 1, 255, 0), r"if 255 means 'car', write `label_map: \{0: no"),
        ("[a, b, c]", random_label(3) + 1, r"if ids start at 1, write `label_map: \{1: a, ... , 3: c\}`"),
        (
            "{a: [128, 0, 0], b: [0, 128, 0], c: [0, 0, 128]}",
            np.array([38, 75, 15])[random_label(3)],
            r"gray values of the class colors",
        ),
        ("[a, b, c]", np.arange(240).reshape(SIZE_HW), r"so many different values mean that the mask was resized"),
    ],
)
def test_typical_mistakes_with_ids_are_explained(tmp_path, classes, mask, message):
    path = write_yaml_dataset(tmp_path, f"classes: {classes}\nignore_index: 254", {"x": mask.astype(np.uint8)})
    with pytest.raises(DatasetError, match=message):
        open_dataset(path)[0]


def test_suffixes_pair_files_of_one_folder(tmp_path):
    for name in ("a", "sub/b"):
        write_image(tmp_path / f"all/{name}.png")
        write_mask(tmp_path / f"all/{name}_mask.png", random_label(2))
    path = tmp_path / "mine.yml"
    path.write_text(
        "classes: [x, y]\nimage_suffix: .png\nmask_suffix: _mask.png\nsplits: {train: {images: all, masks: all}}"
    )
    assert [sample.name for sample in open_dataset(path)] == ["a", "sub/b"]
    assert open_layout(path).files("train").masks_without_image == ()
    path.write_text("classes: [x, y]\nsplits: {train: {images: all, masks: all}}")
    with pytest.raises(ConfigError, match=r"images and masks are in the same folder .*; distinguish them"):
        open_dataset(path)


def test_the_masks_folder_may_lie_within_the_images(tmp_path):
    write_image(tmp_path / "all/a.png")
    write_mask(tmp_path / "all/masks/a.png", random_label(2))
    path = tmp_path / "mine.yaml"
    path.write_text("classes: [x, y]\nsplits: {train: {images: all, masks: all/masks}}")
    assert [sample.name for sample in open_dataset(path)] == ["a"]


def test_a_list_names_the_images_of_a_split(tmp_path):
    for name in ("a", "b", "sub/c"):
        write_image(tmp_path / f"images/{name}.jpg")
        write_mask(tmp_path / f"masks/{name}.png", random_label(2))
    path = tmp_path / "mine.yaml"
    path.write_text("classes: [x, y]\nsplits: {train: {images: images, masks: masks, list: train.txt}}")
    (tmp_path / "train.txt").write_text("sub/c\n\na.jpg\n")
    assert [sample.name for sample in open_dataset(path)] == ["sub/c", "a"]
    (tmp_path / "train.txt").write_text("d\n")
    with pytest.raises(DatasetError, match=r"1 file is missing: .*images/d \(in the list\)"):
        open_dataset(path)
    (tmp_path / "train.txt").unlink()
    with pytest.raises(DatasetError, match=r"the list of split 'train', .*train\.txt, cannot be read: No such file"):
        open_dataset(path)


@pytest.mark.parametrize("separator", [" ", "\t", ","])
def test_a_list_of_pairs_needs_no_folders(tmp_path, separator):
    write_image(tmp_path / "x/a.png")
    write_mask(tmp_path / "y/b.png", random_label(2))
    path = tmp_path / "mine.yaml"
    path.write_text("classes: [x, y]\nsplits: {train: {list: train.txt}}")
    (tmp_path / "train.txt").write_text(f"/x/a.png{separator}y/b.png\n")
    dataset = open_dataset(path)
    assert (dataset[0].name, dataset.label_path(0)) == ("x/a", tmp_path / "y/b.png")
    (tmp_path / "train.txt").write_text("x/a.png\n")
    with pytest.raises(DatasetError, match=r"the list has the line 'x/a\.png'; without `images` and `masks`"):
        open_dataset(path)


def test_root_is_relative_to_the_file_and_can_be_given(tmp_path):
    write_yaml_dataset(tmp_path / "data", "classes: [x, y]", {"a": random_label(2)})
    path = tmp_path / "mine.yaml"
    text = "classes: [x, y]\nsplits: {train: {images: images/train, masks: masks/train}}"
    path.write_text(f"root: data\n{text}")
    assert len(open_dataset(path)) == 1
    path.write_text(f"root: nowhere\n{text}")
    with pytest.raises(DatasetError, match=r"its root .*nowhere is not a folder; correct `root`"):
        open_dataset(path)
    assert len(open_dataset(path, root=tmp_path / "data")) == 1


def test_folders_that_do_not_fit_are_named(tmp_path):
    write_yaml_dataset(tmp_path, "classes: [x, y]", {"a": random_label(2)})
    path = tmp_path / "mine.yaml"
    path.write_text("classes: [x, y]\nsplits: {train: {images: imgs, masks: masks}}")
    with pytest.raises(DatasetError, match=r"the folder .*imgs of split 'train' does not exist"):
        open_dataset(path)
    path.write_text("classes: [x, y]\nimage_suffix: .jpg\nsplits: {train: {images: images, masks: masks}}")
    with pytest.raises(DatasetError, match=r"no file of split 'train' in .*images ends in \.jpg"):
        open_dataset(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "classes: [a, b]\nlabel_mpa: {}",
            r"unknown key 'label_mpa' \(did you mean 'label_map'\?\); docs/data.md",
        ),
        ("classes: [a, b]\nsplit: {}", r"unknown key 'split' \(did you mean 'splits'\?\); docs/data.md"),
        (
            "classes: [a, b]\nsplits: {train: {image: a}}",
            r"unknown key 'splits\.train\.image' \(did you mean 'splits\.train\.images'\?\)",
        ),
        ("classes: [a, b]", r"the key 'splits' is missing"),
        (f"name: x{SPLITS}", r"the key 'classes' is missing"),
        (f"classes: [a]{SPLITS}", r"classes: background is a class, too; write \[background, a\]"),
        (f"classes: [a, a]{SPLITS}", r"classes: duplicate class name: a"),
        (f"classes: [yes, no]{SPLITS}", r"True is not text; put names such as yes, no and 1 in quotes"),
        (f"classes: {{a: [1, 2, 3], b: [1, 2, 256]}}{SPLITS}", r"classes\.b\.2 .*less than or equal to 255, not 256"),
        (f"classes: {{a: [1, 2, 3], b: }}{SPLITS}", r"class 'b' has no color; write each class as `name: \[red"),
        (f"classes: [a, b]\nmask_format: colors{SPLITS}", r"class 'a' has no color"),
        (f"classes: {{a: [1, 2, 3], b: [1, 2, 3]}}\nmask_format: colors{SPLITS}", r"two classes have the same color"),
        (
            f"classes: [a, b]\nmask_format: color{SPLITS}",
            r"mask_format should be 'ids' or 'colors', not 'color' \(did you mean 'colors'\?\)",
        ),
        (
            f"classes: [a, b]\nignore_index: 1{SPLITS}",
            r"ignore_index 1 is the id of class 'b'; .* mask value 1, write `label_map: \{0: a, 1: ignore, 2: b\}`",
        ),
        (f"classes: [car, b]\nlabel_map: {{3: cars}}{SPLITS}", r"'cars' is not a class \(did you mean 'car'\?\)"),
        (
            f"classes: [a, b]\nlabel_map: {{3: 2}}{SPLITS}",
            r"label_map: 2 is not a class; ids are 0 to 1, or write ignore",
        ),
        (f"classes: [a, b]\nlabel_map: {{3: null}}{SPLITS}", r"label_map\.3 should be an integer or text, not None"),
        (f"classes: [a, b]\nlabel_map: {{70000: a}}{SPLITS}", r"70000 is not an id; write 0 to 65535"),
        (f"{COLORS}label_map: {{7: road}}{SPLITS}", r"7 is not a color; write `128 64 128: road`"),
        (f"classes: [a, b]\nlabel_map: {{3: a, 3: b}}{SPLITS}", r"not valid YAML at line 2: duplicate key 3"),
        (f"classes: [a, ignore]\nlabel_map: {{3: a}}{SPLITS}", r"'ignore' has a special meaning in label_map; rename"),
        ("classes: [a, b]\nsplits: {train: {images: a}}", r"splits\.train: set both `images` and `masks`"),
        ("classes: [a, b]\nsplits: {train: {}}", r"splits\.train: set the folders"),
        ("classes: [a, b]\nsplits: {train: a}", r"splits\.train should be keys with values, not 'a'"),
        ("classes: [a, b]\nsplits: {a+b: {list: x}}", r"split 'a\+b': names of splits cannot contain `\+`"),
        ("classes: [a, b]\nsplits: {}", r"no splits given; name at least one, such as train"),
        ("classes: [a, b", r"is not valid YAML at line 1"),
        ("- a", r"is not a description of a data set: it contains a list"),
        ("", r"is not a description of a data set: it contains nothing"),
    ],
)
def test_a_description_that_does_not_validate_is_explained(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_description(path)
    assert str(caught.value).startswith(str(path)) or str(caught.value).startswith(f"cannot read {path}")


THREE = "classes: [road, sky, car]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"{THREE}ignore_index: 0{SPLITS}",
            "ignore_index 0 is the id of class 'road'; to ignore mask value 0, write "
            "`label_map: {0: ignore, 1: road, 2: sky, 3: car}` in place of ignore_index",
        ),
        (
            f"{THREE}ignore_index: 65535{SPLITS}",
            "ignore_index 65535 is above 255, the largest label; to ignore mask value 65535, write "
            "`label_map: {0: road, 1: sky, 2: car, 65535: ignore}` in place of ignore_index",
        ),
        (
            f"{THREE}ignore_index: -1{SPLITS}",
            "ignore_index -1: masks have no negative values; remove the key to ignore",
        ),
        (
            f"{THREE}ignore_index: 0\nlabel_map: {{7: road}}{SPLITS}",
            "to ignore mask value 0, remove the key and add `0: ignore` to label_map",
        ),
        (f"{COLORS}ignore_index: 0{SPLITS}", "remove the key: masks of colors need none"),
        (
            f"classes: [{', '.join('abcdefgh')}]\nignore_index: 300{SPLITS}",
            "write `label_map: {0: a, 1: b, 2: c, 3: d, 4: e, 5: f, ..., 300: ignore}`",
        ),
    ],
)
def test_a_wrong_ignore_index_comes_with_the_label_map_to_write(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_description(path)
    assert message in str(caught.value)


@pytest.mark.parametrize("ignored", [0, 65535])
def test_the_label_map_that_the_message_proposes_works(tmp_path, ignored):
    label = random_label(3)
    label[0, :5] = 3
    ids = [1, 2, 3, ignored] if ignored == 0 else [0, 1, 2, ignored]
    path = write_yaml_dataset(tmp_path, f"{THREE}ignore_index: {ignored}", {"a": np.array(ids, np.uint16)[label]})
    with pytest.raises(ConfigError) as caught:
        open_dataset(path)
    proposed = re.search("`(label_map: .*)` in place of ignore_index", str(caught.value))[1]
    path.write_text(path.read_text().replace(f"ignore_index: {ignored}", proposed))
    np.testing.assert_array_equal(open_dataset(path)[0].label, np.where(label == 3, 255, label))


def test_mask_format_may_be_spelled_the_british_way(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(COLORS.replace("colors", "colours") + SPLITS)
    assert read_description(path).mask_format == "colors"


def test_a_description_is_frozen(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"classes: [a, b]{SPLITS}")
    with pytest.raises(ValueError, match="frozen"):
        read_description(path).ignore_index = 3


EXAMPLES = re.findall(r"```yaml\n(.*?)```", (Path(__file__).parents[2] / "docs/data.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_documentation_validate(example, tmp_path):
    if "extends:" in example:
        (tmp_path / "recipe.yaml").write_text(example)
        load_recipe(tmp_path / "recipe.yaml")
        return
    parts = {"classes": ["a", "b"], "splits": {"train": {"list": "train.txt"}}}
    DatasetDescription.model_validate(parts | yaml.safe_load(example))
