"""Labels survive any way of writing them as a mask, and nothing is lost in counting."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from rapidseg.data.layouts.pairing import pair_files
from rapidseg.data.masks import ColorMasks, IdMasks

LABELS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4))
IGNORE = 4
COLOR = st.tuples(*[st.integers(0, 255)] * 3)


def written(mask: np.ndarray, read):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mask.png")
        Image.fromarray(mask).save(path)
        return read(path)


@settings(deadline=None, max_examples=50)
@given(LABELS, st.lists(st.integers(0, 65535), min_size=5, max_size=5, unique=True))
def test_ids_give_back_the_label(label, ids):
    masks = IdMasks({value: index for index, value in enumerate(ids)}, IGNORE)
    mask = np.array(ids, np.uint16 if max(ids) > 255 else np.uint8)[label]
    decoded = written(mask, masks.decode)
    np.testing.assert_array_equal(decoded.label, label)
    assert decoded.label.dtype == np.uint8
    assert decoded.unknown_values is None


@settings(deadline=None, max_examples=50)
@given(LABELS, st.lists(COLOR, min_size=5, max_size=5, unique=True))
def test_colors_give_back_the_label(label, colors):
    masks = ColorMasks({value: index for index, value in enumerate(colors)}, IGNORE)
    decoded = written(np.array(colors, np.uint8)[label], masks.decode)
    np.testing.assert_array_equal(decoded.label, label)
    assert decoded.label.dtype == np.uint8
    assert decoded.unknown_values is None


@settings(deadline=None, max_examples=50)
@given(LABELS, st.sets(st.integers(0, 4), max_size=4))
def test_every_pixel_is_a_class_or_ignored_or_unknown(label, known):
    masks = IdMasks({value: value for value in known}, 255)
    decoded = written(label, masks.decode)
    counts = {value: int((label == value).sum()) for value in set(range(5)) - known if (label == value).any()}
    assert (decoded.unknown_values.counts if decoded.unknown_values else {}) == counts
    assert (decoded.unknown_values.num_pixels if decoded.unknown_values else 0) == sum(counts.values())
    assert list(decoded.unknown_values.counts.values() if decoded.unknown_values else []) == sorted(
        counts.values(), reverse=True
    )
    np.testing.assert_array_equal(decoded.label, np.where(np.isin(label, list(known)), label, 255))


@given(st.sets(st.text("ab", min_size=1, max_size=3)), st.sets(st.text("ab", min_size=1, max_size=3)))
def test_every_file_is_paired_or_reported(images, masks):
    files = pair_files(
        {key: Path("images", key) for key in images},
        [({key: Path("masks", key) for key in masks}, IdMasks({0: 0}, 255))],
        lambda key: Path("masks", key),
    )
    assert {pair.name for pair in files.pairs} == images & masks
    assert {missing.path.name for missing in files.missing} == images - masks
    assert {path.name for path in files.masks_without_image} == masks - images
