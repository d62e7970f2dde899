"""What masks say beyond their values: palettes, rotation, depth, compression, alpha; in checks and in reading."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rapidseg.core.errors import DatasetError, ImageError
from rapidseg.data import check_dataset, open_dataset, open_layout
from rapidseg.imaging.mask_files import exif_orientation, orient, read_color_mask, read_id_mask
from tests.support.data_folders import SIZE_HW, random_label, write_image, write_yaml_dataset

COLORS = {"road": (128, 64, 128), "sky": (70, 130, 180), "car": (0, 0, 142)}
COLORED = f"classes: {{{', '.join(f'{name}: {list(color)}' for name, color in COLORS.items())}}}"
PLAIN = "classes: [road, sky, car]"
BLOCKS_HW = (64, 64)


def blocks(size_hw: tuple[int, int] = BLOCKS_HW) -> np.ndarray:
    """Returns a label of three classes that has no symmetry."""
    height, width = size_hw
    label = np.zeros(size_hw, np.uint8)
    label[: height // 3] = 1
    label[height // 2 :, : width // 4] = 2
    return label


def write_palette(path: Path, ids: np.ndarray, colors: list[tuple[int, int, int]], **options) -> Path:
    picture = Image.fromarray(ids)
    picture.putpalette([value for color in colors for value in color])
    picture.save(path, **options)
    return path


def write_photo(path: Path, label: np.ndarray, orientation: int = 1) -> Path:
    """Writes a photo whose colors follow a label; its stored pixels are such that viewers show it upright."""
    noise = np.random.default_rng(1).integers(0, 40, (*label.shape, 3))
    image = (np.array([(90, 90, 90), (120, 180, 210), (200, 20, 20)])[label] + noise).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    Image.fromarray(np.ascontiguousarray(orient(image, inverse))).save(path, exif=exif)
    return path


def dataset_of(root: Path, text: str, count: int = 3) -> Path:
    return write_yaml_dataset(root, text, {f"{index}": random_label(3, index) for index in range(count)})


def found(path: Path) -> list[tuple[str, str, list[str]]]:
    """Returns kind, severity and names of files of each finding."""
    report = check_dataset(open_layout(path), workers=1)
    return [(f.kind, f.severity, sorted(file.path.name for file in f.files)) for f in report.findings]


def read_all(path: Path) -> None:
    for _ in open_dataset(path):
        pass


# Palettes


def test_palettes_that_contradict_the_colors_of_the_classes(tmp_path):
    path = dataset_of(tmp_path, COLORED)
    road, sky, car = COLORS.values()
    write_palette(tmp_path / "masks/train/0.png", random_label(3), [sky, road, car])
    write_palette(tmp_path / "masks/train/1.png", random_label(3), [road, sky, car])
    assert found(path) == [("palette", "error", ["0.png"])]
    (finding,) = check_dataset(open_layout(path)).findings
    assert finding.files[0].detail == "id 0 has the color 70 130 180 of 'sky' in its palette, but is read as 'road'"
    assert "write `mask_format: colors`" in finding.advice
    with pytest.raises(DatasetError, match=r"0\.png: id 0 has the color .* of 'sky' .*`mask_format: colors`"):
        open_dataset(path)[0]
    open_dataset(path)[1]


def test_contradicting_palettes_read_as_colors_are_right(tmp_path):
    path = dataset_of(tmp_path, f"{COLORED}\nmask_format: colors", count=1)
    road, sky, car = COLORS.values()
    write_palette(tmp_path / "masks/train/0.png", random_label(3), [sky, road, car])
    assert found(path) == []
    np.testing.assert_array_equal(open_dataset(path)[0].label, np.array([1, 0, 2])[random_label(3)])


def test_an_ignored_id_with_the_color_of_a_class_contradicts(tmp_path):
    road, sky, car = COLORS.values()
    path = dataset_of(tmp_path, f"{COLORED}\nlabel_map: {{0: ignore, 1: road, 2: sky, 3: car}}", count=1)
    write_palette(tmp_path / "masks/train/0.png", random_label(4), [road, sky, car, (0, 0, 0)])
    assert found(path) == [("palette", "error", ["0.png"])]
    write_palette(tmp_path / "masks/train/0.png", random_label(4), [(0, 0, 0), road, sky, car])
    assert found(path) == []


def test_palettes_that_differ_from_each_other(tmp_path):
    path = dataset_of(tmp_path, PLAIN, count=4)
    for name in "012":
        write_palette(tmp_path / f"masks/train/{name}.png", random_label(3), [(1, 1, 9), (2, 2, 9), (3, 3, 9)])
    write_palette(tmp_path / "masks/train/1.png", random_label(3), [(2, 2, 9), (1, 1, 9), (3, 3, 9)])
    assert found(path) == [("palette", "error", ["1.png"])]
    with pytest.raises(DatasetError, match=r"1\.png: id 0 has the color 2 2 9 in its palette, but 1 1 9 in .*0\.png"):
        read_all(path)


def test_palettes_of_two_splits_are_compared(tmp_path):
    path = dataset_of(tmp_path, PLAIN, count=1)
    write_image(tmp_path / "images/val/0.png", seed=9)
    (tmp_path / "masks/val").mkdir()
    path.write_text(path.read_text() + "  val: {images: images/val, masks: masks/val}\n")
    write_palette(tmp_path / "masks/train/0.png", random_label(3), [(1, 1, 9), (2, 2, 9), (3, 3, 9)])
    write_palette(tmp_path / "masks/val/0.png", random_label(3), [(3, 3, 9), (2, 2, 9), (1, 1, 9)])
    assert found(path) == [("palette", "error", ["0.png"])]
    with pytest.raises(DatasetError, match="in its palette, but"):
        for _ in open_dataset(path, split="train+val"):
            pass


@pytest.mark.parametrize(
    "palettes",
    [
        [[(0, 0, 0), (9, 9, 200), (7, 200, 7)]] * 2,  # a color scheme of its own
        [[(0, 0, 0), (9, 9, 200), (7, 200, 7)], None],  # gray masks have no colors
        [[(i, i, i) for i in range(256)], [(9, 0, 0), (0, 9, 0), (0, 0, 9)]],  # ids as gray values are no colors
        [[(128, 64, 128), (70, 130, 180), (0, 0, 142)] + [(128, 64, 128)] * 253] * 2,  # padded with the first
        [[(5, 5, 5), (128, 64, 128), (9, 9, 9)]] * 2,  # one of three colors is that of a class, by chance
    ],
)
def test_palettes_that_say_nothing(tmp_path, palettes):
    path = dataset_of(tmp_path, COLORED, count=len(palettes))
    for name, palette in enumerate(palettes):
        if palette is not None:
            write_palette(tmp_path / f"masks/train/{name}.png", random_label(3), palette)
    assert found(path) == []
    read_all(path)


def test_generated_colors_do_not_contradict(tmp_path):
    path = dataset_of(tmp_path, PLAIN, count=1)
    generated = open_layout(path).labels.palette
    write_palette(tmp_path / "masks/train/0.png", random_label(3), [(0, 0, 0), *generated[:2]])
    assert found(path) == []


# Rotation


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_masks_drawn_on_the_unrotated_pixels(tmp_path, orientation):
    path = write_yaml_dataset(tmp_path, f"{PLAIN}\nimage_suffix: .jpg", {})
    (tmp_path / "images/train").mkdir(parents=True)
    (tmp_path / "masks/train").mkdir(parents=True)
    write_photo(tmp_path / "images/train/0.jpg", blocks(), orientation)
    assert exif_orientation(tmp_path / "images/train/0.jpg") == orientation
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    mask = tmp_path / "masks/train/0.png"
    Image.fromarray(np.ascontiguousarray(orient(blocks(), inverse))).save(mask)
    assert found(path) == [("rotation", "error", ["0.png"])]
    with pytest.raises(DatasetError, match=r"0\.png was drawn on the unrotated pixels of its photo.*exiftool"):
        open_dataset(path)[0]
    Image.fromarray(blocks()).save(mask)  # drawn on the photo as viewers show it
    assert found(path) == []
    open_dataset(path)[0]


def test_a_mask_with_the_orientation_of_its_photo_is_rotated_as_well(tmp_path):
    path = write_yaml_dataset(tmp_path, f"{PLAIN}\nimage_suffix: .jpg", {})
    for folder in ("images/train", "masks/train"):
        (tmp_path / folder).mkdir(parents=True)
    write_photo(tmp_path / "images/train/0.jpg", blocks(), 3)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(np.ascontiguousarray(orient(blocks(), 3))).save(tmp_path / "masks/train/0.png", exif=exif)
    assert found(path) == []
    np.testing.assert_array_equal(open_dataset(path)[0].label, blocks())


def test_doubt_about_the_rotation_is_a_warning(tmp_path):
    path = write_yaml_dataset(tmp_path, f"{PLAIN}\nimage_suffix: .jpg", {})
    for folder in ("images/train", "masks/train"):
        (tmp_path / folder).mkdir(parents=True)
    write_photo(tmp_path / "images/train/0.jpg", np.zeros(BLOCKS_HW, np.uint8), 3)
    Image.fromarray(random_label(3, size_hw=BLOCKS_HW)).save(tmp_path / "masks/train/0.png")
    assert found(path) == [("rotation", "warning", ["0.png"])]
    open_dataset(path)[0]


def test_swapped_sizes_name_the_orientation(tmp_path):
    path = write_yaml_dataset(tmp_path, f"{PLAIN}\nimage_suffix: .jpg", {})
    for folder in ("images/train", "masks/train"):
        (tmp_path / folder).mkdir(parents=True)
    write_photo(tmp_path / "images/train/0.jpg", blocks((40, 60)), 6)
    Image.fromarray(blocks((60, 40))).save(tmp_path / "masks/train/0.png")
    (finding,) = check_dataset(open_layout(path)).findings
    assert (finding.kind, finding.severity) == ("size", "error")
    assert "the photo has an EXIF rotation (orientation 6) and its mask was drawn on the unrotated" in finding.advice
    with pytest.raises(DatasetError, match=r"orientation 6"):
        open_dataset(path)[0]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orient_does_what_reading_does(tmp_path, suffix, orientation):
    ids = np.arange(24, dtype=np.uint8).reshape(4, 6)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x{suffix}"
    Image.fromarray(ids).save(path, exif=exif)
    assert exif_orientation(path) == orientation
    if suffix in (".png", ".tif"):
        np.testing.assert_array_equal(read_id_mask(path).pixels, orient(ids, orientation))


# Depth, instances, compression, alpha, photos


@pytest.mark.parametrize("rest", ["", "\nlabel_map: {0: road, 7: sky, 26: car, other: ignore}"])
def test_instance_ids_are_named_as_such(tmp_path, rest):
    path = dataset_of(tmp_path, PLAIN + rest, count=1)
    ids = np.where(random_label(2) == 1, 26001 if rest else 2003, 0).astype(np.uint16)
    Image.fromarray(ids).save(tmp_path / "masks/train/0.png")
    report = check_dataset(open_layout(path))
    assert not report.ok
    assert any("number instances of class 26" in finding.advice for finding in report.findings)
    with pytest.raises(DatasetError, match="number instances of class 26"):
        open_dataset(path)[0]


def test_ids_scaled_to_16_bits_are_named_as_such(tmp_path):
    path = dataset_of(tmp_path, PLAIN, count=1)
    Image.fromarray(random_label(3).astype(np.uint16) * 257).save(tmp_path / "masks/train/0.png")
    with pytest.raises(DatasetError, match="ids were scaled to 16 bits, by 257; divide them by 257"):
        open_dataset(path)[0]


def test_ids_spread_for_viewing_get_their_label_map(tmp_path):
    path = dataset_of(tmp_path, PLAIN, count=1)
    Image.fromarray(np.array([0, 127, 255], np.uint8)[random_label(3)]).save(tmp_path / "masks/train/0.png")
    with pytest.raises(DatasetError, match=r"write `label_map: \{0: road, 127: sky, 255: car\}`"):
        open_dataset(path)[0]


def lossy_mask(path: Path, image_format: str, **options) -> None:
    """Writes blurred-by-compression blocks of class colors under any name."""
    colors = np.array(list(COLORS.values()), np.uint8)[blocks(SIZE_HW)]
    Image.fromarray(colors).save(path, format=image_format, **options)


@pytest.mark.parametrize(("image_format", "options"), [("JPEG", {}), ("WEBP", {"quality": 60})])
@pytest.mark.parametrize("other", ["", "\nlabel_map: {other: ignore}"])
def test_lossy_masks_of_colors_are_refused_whatever_they_are_called(tmp_path, image_format, options, other):
    path = dataset_of(tmp_path, f"{COLORED}\nmask_format: colors{other}", count=1)
    lossy_mask(tmp_path / "masks/train/0.png", image_format, **options)
    report = check_dataset(open_layout(path))
    assert not report.ok
    assert any("is lossy and changes pixel values" in finding.advice for finding in report.findings)
    with pytest.raises(DatasetError, match="is lossy and changes pixel values: save masks in a lossless format"):
        open_dataset(path)[0]


def test_lossless_webp_masks_are_read(tmp_path):
    lossy_mask(tmp_path / "x.webp", "WEBP", lossless=True)
    mask = read_color_mask(tmp_path / "x.webp")
    assert mask.lossy == ""
    assert len(np.unique(mask.pixels.reshape(-1, 3), axis=0)) == 3


def test_artifacts_that_a_png_has_kept_are_explained(tmp_path):
    path = dataset_of(tmp_path, "classes: [road, car]\nlabel_map: {0: road, 200: car}", count=1)
    lossy_mask(tmp_path / "x.jpg", "JPEG")
    gray = np.where(blocks(SIZE_HW) == 2, 200, 0).astype(np.uint8)
    gray[0, :6] = [1, 2, 3, 190, 180, 199]
    Image.fromarray(gray).save(tmp_path / "masks/train/0.png")
    with pytest.raises(DatasetError, match="these values lie between those of classes: anti-aliasing, interpolation"):
        open_dataset(path)[0]


def test_anti_aliased_borders_of_ids_are_a_warning(tmp_path):
    path = write_yaml_dataset(tmp_path, PLAIN, {})
    label = np.where(np.tri(240, 240, dtype=bool), 0, 2).astype(np.uint8)
    soft = np.array(Image.fromarray(label * 100).resize((500, 500), Image.Resampling.BILINEAR)) / 100
    write_image(tmp_path / "images/train/0.png", (500, 500))
    (tmp_path / "masks/train").mkdir(parents=True)
    Image.fromarray(np.round(soft).astype(np.uint8)).save(tmp_path / "masks/train/0.png")
    assert ("blended", "warning", []) in found(path)
    sharp = Image.fromarray(label).resize((500, 500), Image.Resampling.NEAREST)
    sharp.save(tmp_path / "masks/train/0.png")
    assert [kind for kind, _, _ in found(path)] == ["empty_class"]


def test_transparent_pixels(tmp_path):
    path = dataset_of(tmp_path, f"{COLORED}\nmask_format: colors", count=1)
    colors = np.array(list(COLORS.values()), np.uint8)[random_label(3)]
    mask = tmp_path / "masks/train/0.png"
    Image.fromarray(np.dstack([colors, np.full(SIZE_HW, 255, np.uint8)])).save(mask)
    assert found(path) == []  # opaque
    alpha = np.full(SIZE_HW, 255, np.uint8)
    alpha[0, :3] = [0, 0, 90]
    Image.fromarray(np.dstack([colors, alpha])).save(mask)
    assert found(path) == [("unreadable", "error", ["0.png"])]
    with pytest.raises(ImageError, match=r"3 pixels of this mask are transparent, so their color is in doubt"):
        open_dataset(path)[0]


def test_transparent_ids(tmp_path):
    path = dataset_of(tmp_path, PLAIN, count=1)
    mask = tmp_path / "masks/train/0.png"
    Image.fromarray(np.dstack([random_label(3), np.full(SIZE_HW, 255, np.uint8)])).save(mask)
    np.testing.assert_array_equal(open_dataset(path)[0].label, random_label(3))
    Image.fromarray(np.dstack([random_label(3), random_label(3)])).save(mask)
    with pytest.raises(ImageError, match="240 pixels of this mask are transparent, so their ids are in doubt"):
        open_dataset(path)[0]
    write_palette(mask, random_label(3), [(9, 0, 0), (0, 9, 0), (0, 0, 9)], transparency=bytes([0, 255, 255]))
    assert found(path) == [("transparent", "warning", ["0.png"])]


@pytest.mark.parametrize("kind", ["colors", "gray", "palette"])
@pytest.mark.parametrize("other", ["", "other: ignore"])
def test_a_mask_that_is_the_photo(tmp_path, kind, other):
    text = f"{COLORED}\nmask_format: colors" if kind == "colors" else PLAIN
    listed = "0 0 0: ignore" if kind == "colors" else "0: road, 1: sky, 2: car"
    path = dataset_of(tmp_path, f"{text}\nlabel_map: {{{', '.join(filter(None, [listed, other]))}}}", count=1)
    photo = Image.open(write_photo(tmp_path / "images/train/0.png", blocks()))
    mask = photo if kind == "colors" else photo.convert("L") if kind == "gray" else photo.quantize(200)
    mask.save(tmp_path / "masks/train/0.png")
    report = check_dataset(open_layout(path))
    assert not report.ok
    assert "photo" in [finding.kind for finding in report.findings]
    with pytest.raises(DatasetError, match="this mask is its photo once more; correct the paths of the masks"):
        open_dataset(path)[0]


def test_a_photo_in_place_of_ids(tmp_path):
    path = dataset_of(tmp_path, PLAIN, count=1)
    photo = Image.open(write_photo(tmp_path / "images/train/0.png", blocks()))
    photo.save(tmp_path / "masks/train/0.png")
    with pytest.raises(ImageError, match="it is the photo itself: correct the path of the mask"):
        open_dataset(path)[0]


def test_several_pages_and_deep_colors(tmp_path):
    pages = [Image.fromarray(random_label(3, seed)) for seed in (0, 1)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ImageError, match=r"pages\.tif: this file has 2 pages or frames; save each mask as a file"):
        read_id_mask(tmp_path / "pages.tif")
    Image.fromarray(random_label(3).astype(np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ImageError, match=r"16 bits per channel, but colors of classes have 8"):
        read_color_mask(tmp_path / "deep.png")
    Image.fromarray(np.zeros(SIZE_HW, np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ImageError, match=r"its pixels are fractions \(32-bit float\), not ids"):
        read_id_mask(tmp_path / "float.tif")


def test_values_that_only_other_covers_are_a_warning(tmp_path):
    path = dataset_of(tmp_path, f"{PLAIN}\nlabel_map: {{0: road, 1: sky, 2: car, other: ignore}}", count=1)
    ids = random_label(3, size_hw=SIZE_HW)
    ids[0] = np.arange(100, 120)
    ids[1] = np.arange(130, 150)
    Image.fromarray(ids).save(tmp_path / "masks/train/0.png")
    assert found(path) == [("other_values", "warning", ["0.png"])]


def test_a_png_that_states_more_pixels_than_it_can_hold(tmp_path):
    path = tmp_path / "x.png"
    for shape in ((1, 1), (3000, 3000)):  # the best that can be compressed
        Image.fromarray(np.zeros(shape, np.uint8)).save(path, compress_level=9)
        assert read_id_mask(path).pixels.shape == shape
    Image.fromarray(random_label(3)).save(path)
    content = bytearray(path.read_bytes())
    content[20:24] = (4_000_000).to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"damaged or cut off \(\d+ bytes cannot hold 4000000x20 pixels\)"):
        read_id_mask(path)
