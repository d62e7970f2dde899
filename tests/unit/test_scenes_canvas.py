"""Drawing on picture and label map at once."""

from __future__ import annotations

import numpy as np
import pytest

from rapidseg.scenes.camera import Camera
from rapidseg.scenes.canvas import Canvas, Label, Sheet

GRAY = np.array([200.0, 100.0, 50.0])
BLACK = np.zeros(3)


@pytest.fixture
def camera():
    return Camera(size_hw=(100, 200), focal_px=200.0, center_u=100.0, horizon_v=40.0, height_m=1.5)


def upright(x0, x1, y0, y1, z):
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]], float)


def test_projection_is_a_pinhole(camera):
    # 10 m ahead, 1 m right, 0.5 m above the ground, so 1 m below the lens: 200 / 10 pixels a meter.
    assert camera.project(np.array([[1.0, 0.5, 10.0]])).tolist() == [[120.0, 60.0]]


def test_ground_is_the_inverse_of_projection(camera):
    x, z = camera.ground(50)
    points = np.stack([x, np.zeros_like(x), np.broadcast_to(z, x.shape)], axis=-1)
    rows, columns = np.mgrid[50:100, 0:200]
    near = np.broadcast_to(z, x.shape) > 1
    assert np.allclose(camera.project(points)[near], np.stack([columns, rows], axis=-1)[near], atol=1e-2)


def test_what_lies_behind_the_camera_is_cut_off(camera):
    floor = np.array([[-1, 0, -5], [1, 0, -5], [1, 0, 5], [-1, 0, 5]], float)
    projected = camera.project_polygon(floor)
    assert len(projected) == 4
    assert projected[:, 1].min() == pytest.approx(40 + 1.5 * 200 / 5)
    assert len(camera.project_polygon(floor - np.array([0, 0, 10.0]))) == 0


def test_edges_are_smooth_in_the_picture_and_hard_in_the_label(camera):
    canvas = Canvas(camera)
    canvas.polygon(upright(-1.013, 1.513, 0.0, 2.0, 10.0), np.full(3, 200.0), Label.CAR)
    assert len(np.unique(canvas.image)) - 2 > 0
    assert set(np.unique(canvas.label).tolist()) == {0, int(Label.CAR)}


def test_a_sheet_labels_what_covers_most_of_a_pixel(camera):
    canvas = Canvas(camera)
    sheet = Sheet(canvas, (10, 10, 30, 30), fineness=5)
    sheet.polygon(np.array([[11.9, 11.0], [20.0, 11.0], [20.0, 20.0], [11.9, 20.0]]), np.full(3, 250.0), Label.PERSON)
    sheet.lay_down(BLACK, 0.0)
    # Pixel 11 reaches from 10.5 to 11.5 and is outside; 12 from 11.5 to 12.5 is covered by more than half.
    assert canvas.label[15, 11] == 0
    assert canvas.label[15, 12] == Label.PERSON
    assert 100 < canvas.image[15, 12, 0] < 250
    assert canvas.image[15, 15, 0] == 250


def test_a_pole_thinner_than_half_a_pixel_is_seen_but_not_labeled(camera):
    canvas = Canvas(camera)
    sheet = Sheet(canvas, (10, 10, 30, 30), fineness=5)
    sheet.polygon(np.array([[15.0, 10.0], [15.15, 10.0], [15.15, 25.0], [15.0, 25.0]]), np.full(3, 250.0), Label.POLE)
    sheet.lay_down(BLACK, 0.0)
    assert canvas.image[18, 15, 0] > 0
    assert not canvas.label.any()


def test_spaces_between_spokes_are_labeled_but_show_what_is_behind(camera):
    canvas = Canvas(camera)
    canvas.image[:] = 77
    sheet = Sheet(canvas, (10, 10, 30, 30), fineness=3)
    sheet.polygon(np.array([[12.0, 12.0], [25.0, 12.0], [25.0, 25.0], [12.0, 25.0]]), None, Label.BICYCLE)
    sheet.lay_down(BLACK, 0.0)
    assert (canvas.image == 77).all()
    assert canvas.label[18, 18] == Label.BICYCLE


def test_haze_moves_colors_towards_it(camera):
    canvas = Canvas(camera)
    sheet = Sheet(canvas, (10, 10, 30, 30), fineness=2)
    sheet.polygon(np.array([[9.0, 9.0], [31.0, 9.0], [31.0, 31.0], [9.0, 31.0]]), GRAY, Label.CAR)
    sheet.lay_down(np.array([100.0, 100.0, 100.0]), 0.5)
    assert canvas.image[20, 20].tolist() == [150, 100, 75]


def test_boxes_end_at_the_picture(camera):
    canvas = Canvas(camera)
    assert canvas.box(np.array([[-5.0, -5.0], [10.2, 10.2]])) == (0, 0, 12, 12)
    assert canvas.box(np.array([[300.0, 5.0], [310.0, 10.0]])) is None
