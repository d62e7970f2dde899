"""Training samples: reproducible, of the right size, and label and image moved together."""

import numpy as np
import pytest
from pydantic import ValidationError

from rapidseg.core.errors import ConfigError
from rapidseg.data.augmentation import Augmentation, Photometric, TrainingSamples
from rapidseg.data.sample import Sample

NAMES = ("left", "right", "thing")
IGNORE = 255


def halves(index, size_hw=(48, 64)):
    """An image whose gray level is 60 times its class, plus its number: left half 0, right half 1, a small thing 2."""
    label = np.zeros(size_hw, np.uint8)
    label[:, size_hw[1] // 2 :] = 1
    label[10:20, 10:20] = 2
    image = np.repeat((label * 60)[:, :, None], 3, axis=2)
    return Sample(image=image, label=label, name=f"image {index}")


@pytest.fixture
def dataset():
    return [halves(i) for i in range(5)]


def samples(dataset, seed=0, **options):
    options = {"crop_size": (64, 96), "scale_range": (1.0, 3.0), "photometric": None, **options}
    return TrainingSamples(
        dataset,
        Augmentation(**options),
        class_names=NAMES,
        ignore_index=IGNORE,
        fill=(7.2, 8, 9),
        seed=seed,
    )


def test_items_depend_on_seed_and_number_alone(dataset):
    forwards = samples(dataset, photometric=Photometric(gamma=(0.5, 2), blur_sigma=1, noise_sigma=5), copy_paste=0.5,
                       copy_paste_classes=("thing",))  # fmt: skip
    backwards = samples(dataset, photometric=Photometric(gamma=(0.5, 2), blur_sigma=1, noise_sigma=5), copy_paste=0.5,
                        copy_paste_classes=("thing",))  # fmt: skip
    first = [forwards[k] for k in range(12)]
    second = [backwards[k] for k in reversed(range(12))][::-1]
    for (image_a, label_a, name_a), (image_b, label_b, name_b) in zip(first, second, strict=True):
        assert np.array_equal(image_a, image_b)
        assert np.array_equal(label_a, label_b)
        assert name_a == name_b
    assert any(not np.array_equal(a[0], samples(dataset, seed=1)[k][0]) for k, a in enumerate(first))


def test_every_image_is_read_once_before_any_is_read_again(dataset):
    made = samples(dataset)
    names = [made[k][2] for k in range(15)]
    for epoch in range(3):
        assert len(set(names[epoch * 5 : epoch * 5 + 5])) == 5


def test_image_and_label_stay_together(dataset):
    made = samples(dataset, flip=0.5, aspect_jitter=0.2, cat_max_ratio=1)
    for k in range(20):
        image, label, _ = made[k]
        assert image.shape == (64, 96, 3)
        assert label.shape == (64, 96)
        assert image.dtype == label.dtype == np.uint8
        inside = label != IGNORE
        # Bilinear and nearest disagree only along borders, which are a small share of the pixels.
        assert np.mean(image[inside, 0] == label[inside] * 60) > 0.85
        assert (image[~inside] == (7, 8, 9)).all()


def test_small_images_are_filled_up_with_ignored_pixels(dataset):
    image, label, _ = samples(dataset, scale_range=(0.5, 0.5), cat_max_ratio=1)[0]
    assert (label[:24, :32] != IGNORE).all()
    assert (label[24:] == IGNORE).all()
    assert (image[24:] == (7, 8, 9)).all()


def test_label_stride_takes_every_nth_pixel(dataset):
    begins = set()
    for k in range(20):
        full = samples(dataset)[k]
        half = samples(dataset, label_stride=2)[k]
        assert np.array_equal(half[0], full[0])
        parts = {(i, j): full[1][i::2, j::2] for i in (0, 1) for j in (0, 1)}
        fitting = [place for place, part in parts.items() if np.array_equal(half[1], part)]
        assert fitting
        begins.update(fitting[:1])
    assert len(begins) > 1  # not always the same rows and columns, which would shift what is learned


def test_crops_with_too_much_of_one_class_are_drawn_anew(dataset):
    shares = []
    for ratio in (0.75, 1.0):
        made = samples(dataset, scale_range=(3.0, 3.0), crop_size=(48, 64), cat_max_ratio=ratio)
        shares.append(np.mean([np.bincount(made[k][1].ravel()).max() / (48 * 64) for k in range(40)]))
    assert shares[0] < shares[1] - 0.1


def test_pasted_classes_come_from_another_image():
    empty = Sample(image=np.zeros((64, 96, 3), np.uint8), label=np.zeros((64, 96), np.uint8), name="empty")
    full = Sample(image=np.full((64, 96, 3), 120, np.uint8), label=np.full((64, 96), 2, np.uint8), name="full")
    options = {"scale_range": (1.0, 1.0), "copy_paste": 1.0, "copy_paste_classes": ("thing",), "cat_max_ratio": 1.0}
    made = samples([empty, full], **options)
    pasted = [made[k] for k in range(20) if made[k][2] == "empty with parts of full"]
    assert pasted
    for image, label, _ in pasted:
        assert (label == 2).all()
        assert (image == 120).all()


def test_photometric_distortion_keeps_shape_and_its_bounds():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (32, 48, 3), np.uint8)
    for distort in (Photometric(), Photometric(gamma=(0.5, 2.0), channel_gain=0.3, blur_sigma=2, noise_sigma=10)):
        changed = [distort(image, np.random.default_rng(seed)) for seed in range(20)]
        assert all(c.shape == image.shape and c.dtype == np.uint8 for c in changed)
        assert any(not np.array_equal(c, image) for c in changed)
    still = Photometric(brightness=0, contrast=(1, 1), saturation=(1, 1), hue=0)
    assert all(np.array_equal(still(image, np.random.default_rng(seed)), image) for seed in range(10))


def test_wrong_options_are_refused(dataset):
    with pytest.raises(ValidationError, match="scale_range must be two positive numbers"):
        Augmentation(crop_size=(64, 64), scale_range=(2.0, 1.0))
    with pytest.raises(ValidationError, match="copy_paste_classes must name at least one class"):
        Augmentation(crop_size=(64, 64), scale_range=(1.0, 2.0), copy_paste=0.5)
    with pytest.raises(ValidationError, match=r"label_stride 3 must divide both sides of crop_size \(64, 64\)"):
        Augmentation(crop_size=(64, 64), scale_range=(1.0, 2.0), label_stride=3)
    with pytest.raises(ConfigError, match=r"copy_paste_classes: thin is not a class \(did you mean 'thing'"):
        samples(dataset, copy_paste=0.5, copy_paste_classes=("thin",))
