"""Drawn scenes: what they hold, and that they depend on the seed and their number only."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from rapidseg.core.errors import InputError
from rapidseg.core.labels import CITYSCAPES
from rapidseg.scenes import draw_scene

SMALL = (128, 256)


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(0, index, SMALL) for index in range(30)]


def test_shapes_types_and_name(scenes):
    for index, scene in enumerate(scenes):
        assert scene.image.shape == (*SMALL, 3)
        assert scene.image.dtype == np.uint8
        assert scene.label.shape == SMALL
        assert scene.label.dtype == np.uint8
        assert scene.name == f"synth/synth_{index:06d}_000019"


def test_every_class_appears_and_nothing_else(scenes):
    found = set(np.unique(np.concatenate([scene.label.ravel() for scene in scenes])).tolist())
    assert found == {*range(CITYSCAPES.num_classes), CITYSCAPES.ignore_index}


def test_street_scenes_are_mostly_what_streets_are(scenes):
    shares = np.bincount(np.concatenate([scene.label.ravel() for scene in scenes]), minlength=256) / (
        len(scenes) * SMALL[0] * SMALL[1]
    )
    share = dict(zip(CITYSCAPES.names, shares, strict=False))
    assert 0.25 < share["road"] < 0.5
    assert 0.1 < share["building"] < 0.4
    assert 0.05 < share["vegetation"] < 0.3
    assert 0.05 < share["sky"] < 0.3
    assert 0.03 < share["car"] < 0.2
    assert shares[CITYSCAPES.ignore_index] < 0.1


def test_the_road_lies_below_and_the_sky_above(scenes):
    rows = np.arange(SMALL[0])[:, None]
    for scene in scenes:
        road, sky = scene.label == CITYSCAPES.names.index("road"), scene.label == CITYSCAPES.names.index("sky")
        assert road.any()
        if sky.any():
            assert (rows * sky).sum() / sky.sum() < (rows * road).sum() / road.sum()


def test_light_and_weather_vary(scenes):
    brightness = [float(scene.image.mean()) for scene in scenes]
    assert max(brightness) - min(brightness) > 30
    assert min(brightness) > 40
    assert max(brightness) < 190


def test_the_same_scene_again():
    first, second = draw_scene(3, 5, SMALL), draw_scene(3, 5, SMALL)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.label, second.label)


def test_scenes_do_not_depend_on_those_before_them(scenes):
    assert np.array_equal(draw_scene(0, 11, SMALL).image, scenes[11].image)


def test_scenes_are_the_same_in_another_process_with_one_thread(scenes):
    code = (
        "import cv2, hashlib; cv2.setNumThreads(1)\n"
        "from rapidseg.scenes import draw_scene\n"
        f"scene = draw_scene(0, 7, {SMALL})\n"
        "print(hashlib.sha256(scene.image.tobytes() + scene.label.tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    scene = scenes[7]
    assert other == hashlib.sha256(scene.image.tobytes() + scene.label.tobytes()).hexdigest()


def test_another_seed_or_number_is_another_scene(scenes):
    assert not np.array_equal(draw_scene(1, 0, SMALL).image, scenes[0].image)
    assert not np.array_equal(scenes[1].image, scenes[0].image)


def test_another_size_shows_the_same_street():
    small, large = draw_scene(0, 2, (96, 192)), draw_scene(0, 2, (192, 384))
    halved = cv2.resize(large.label, (192, 96), interpolation=cv2.INTER_NEAREST)
    assert (halved == small.label).mean() > 0.85


@pytest.mark.parametrize("size_hw", [(32, 32), (33, 97), (200, 64), (360, 480)])
def test_any_size(size_hw):
    scene = draw_scene(2, 1, size_hw)
    assert scene.image.shape == (*size_hw, 3)
    assert scene.label.shape == size_hw


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0, (31, 256)), "cannot draw a scene of 31x256 pixels; height and width must be 32 to 8192"),
        ((0, 0, (512, 9000)), "cannot draw a scene of 512x9000 pixels; height and width must be 32 to 8192"),
        ((-1, 0, SMALL), "seed is -1, but must be 0 or more"),
        ((0, -2, SMALL), "index is -2, but must be 0 or more"),
    ],
)
def test_what_cannot_be_drawn(arguments, message):
    with pytest.raises(InputError) as caught:
        draw_scene(*arguments)
    assert str(caught.value) == message
