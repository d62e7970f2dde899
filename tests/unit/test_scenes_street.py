"""Streets, light and noise that scenes are drawn from."""

from __future__ import annotations

import numpy as np
import pytest

from rapidseg.scenes.light import draw_light
from rapidseg.scenes.noise import TILE, cloud_tile, leaf_tile, sample, tile_pyramid
from rapidseg.scenes.street import CURB_M, draw_street


@pytest.mark.parametrize("seed", range(5))
def test_locating_undoes_placing(seed):
    street = draw_street(np.random.default_rng(seed))
    s, t = np.array([5.0, 20.0, 80.0]), np.array([-6.0, 0.5, 9.0])
    placed = street.to_camera(s, t)
    found = street.to_street(placed[:, 0].astype(np.float32), placed[:, 2].astype(np.float32))
    assert np.allclose(found, [s, t], atol=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_what_stands_beside_the_road_stands_on_the_sidewalk(seed):
    street = draw_street(np.random.default_rng(seed))
    s = next(s for s in np.arange(5.0, 60.0) if street.clear_of_crossings(s, 6.0))
    assert street.ground_point(s, 0.0)[1] == 0
    assert street.ground_point(s, street.half_width + 0.3)[1] == CURB_M
    for middle, _ in street.crossings:
        assert street.ground_point(middle, street.half_width + 5)[1] == 0


def test_blocks_leave_crossings_open():
    for seed in range(20):
        street = draw_street(np.random.default_rng(seed))
        for sign in (-1, 1):
            for start, end in street.blocks(sign):
                assert all(not start < middle < end for middle, _ in street.crossings)


def test_suns_shine_from_above_and_gains_add_up():
    for seed in range(30):
        light = draw_light(np.random.default_rng(seed))
        assert np.linalg.norm(light.sun) == pytest.approx(1)
        assert light.sun[1] > 0
        up = np.array([0.0, 1.0, 0.0])
        assert (light.gain(up, 1.0) >= light.gain(up, 0.0)).all()
        assert light.haze(0.0) == 0
        assert 0 < light.haze(100.0) < 1


def test_tiles_repeat_without_a_seam():
    tile = cloud_tile(1.5, 4)
    inside = np.abs(np.diff(tile, axis=1)).max()
    assert np.abs(tile[:, 0] - tile[:, -1]).max() <= inside * 1.5
    assert tile.mean() == pytest.approx(0, abs=1e-4)
    assert tile.std() == pytest.approx(1, abs=1e-4)


def test_sampling_repeats_tiles():
    tile = cloud_tile(1.0, 2)
    columns, rows = np.meshgrid(np.arange(0, 40, dtype=np.float32), np.arange(0, 30, dtype=np.float32))
    once = sample(tile, columns, rows)
    assert np.array_equal(once, tile[:30, :40])
    assert np.allclose(sample(tile, columns + 2 * TILE, rows - TILE), once, atol=1e-3)


def test_shared_tiles_cannot_be_changed():
    for array in (cloud_tile(1.0, 2), *leaf_tile(), *tile_pyramid("brick")):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1
