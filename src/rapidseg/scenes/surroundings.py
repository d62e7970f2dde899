"""Places static objects: houses, trees, fences and street furniture."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from rapidseg.scenes.barriers import draw_fence, draw_wall
from rapidseg.scenes.buildings import Plot, draw_building, plot_body
from rapidseg.scenes.contents import Contents, SceneObject
from rapidseg.scenes.furniture import draw_bin, draw_bollard, draw_lamp, draw_sign, draw_traffic_light
from rapidseg.scenes.plants import make_bush, make_conifer, make_tree
from rapidseg.scenes.street import FAR_M, Street

_SEEN_M = 170.0  # beyond, only houses and trees are placed


def place_surroundings(contents: Contents, street: Street, rng: np.random.Generator) -> None:
    """Adds the static objects beside the road."""
    for sign in (-1, 1):
        _houses(contents, street, sign, rng)
        _curb_trees(contents, street, sign, rng)
        _yard(contents, street, sign, rng)
        _furniture(contents, street, sign, rng)
    _background(contents, street, rng)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**32))


def _add_house(contents: Contents, street: Street, plot: Plot) -> None:
    far = float(np.hypot(*street.to_camera(plot.end, plot.t)[[0, 2]]))
    contents.objects.append(SceneObject(far, partial(draw_building, plot=plot)))
    contents.house_bodies.append(plot_body(street, plot))
    contents.footprints.append(plot.corners(street))


def _houses(contents: Contents, street: Street, sign: int, rng: np.random.Generator) -> None:
    side = street.side(sign)
    front = sign * (street.half_width + side.frontage)
    if side.style == "park":
        return
    base_height = rng.uniform(8, 17)
    for start, end in street.blocks(sign):
        s = start
        while s < end - 5:
            length = min(float(rng.uniform(8, 22)), end - s)
            if end - s - length < 6:
                length = end - s
            if side.style == "town":
                kind = "office" if rng.random() < 0.18 else "town"
                height = base_height * rng.uniform(0.75, 1.25) * (1.35 if kind == "office" else 1.0)
                gap, back = 0.0, 0.0
            else:
                kind, height = "cottage", float(rng.uniform(3.6, 6.6))
                gap, back = float(rng.uniform(2.0, 7.0)), float(rng.uniform(0.0, 2.0))
            if s + length > 3 and length - gap > 4:
                depth = float(rng.uniform(9, 14))
                _add_house(
                    contents, street, Plot(s, s + length - gap, front + sign * back, depth, height, kind, _seed(rng))
                )
            if gap > 3 and rng.random() < 0.5 and s > 4:
                base = street.ground_point(s + length - gap / 2, front + sign * rng.uniform(2, 8))
                contents.add_plant(make_tree(base, rng.uniform(5, 9), rng))
            s += length


def _curb_trees(contents: Contents, street: Street, sign: int, rng: np.random.Generator) -> None:
    side = street.side(sign)
    if not side.trees:
        return
    t = sign * (street.half_width + (side.verge / 2 if side.verge > 0 else 0.9))
    height, spacing = rng.uniform(5.5, 10.0), rng.uniform(8, 16)
    s = rng.uniform(6, 16)
    while s < _SEEN_M:
        if street.clear_of_crossings(s, 5.0) and rng.random() < 0.85 and contents.claim(s, t, 0.5):
            contents.add_plant(make_tree(street.ground_point(s, t), height * rng.uniform(0.8, 1.2), rng))
        s += spacing * rng.uniform(0.85, 1.15)


def _yard(contents: Contents, street: Street, sign: int, rng: np.random.Generator) -> None:
    """Adds the boundary and the plants of the ground beside the sidewalk."""
    side = street.side(sign)
    if side.style == "town":
        if rng.random() < 0.35:
            start = rng.uniform(6, 25)
            _barrier(contents, street, sign * (street.half_width + 0.3), start, start + 16, 1.0, "fence", rng)
        return
    t = sign * (street.half_width + side.verge + side.sidewalk + 0.2)
    for start, end in street.blocks(sign):
        bound = str(rng.choice(["fence", "wall", "hedge", "none"], p=[0.42, 0.28, 0.18, 0.12]))
        tall = 2.6 if bound == "wall" and side.style == "park" and rng.random() < 0.4 else rng.uniform(0.8, 1.7)
        _barrier(contents, street, t, max(start, 2.5), min(end, 110.0), tall, bound, rng)
    if side.style != "park":
        return
    for _ in range(int(rng.integers(8, 22))):
        s, away = rng.uniform(8, 120), rng.uniform(2.5, side.yard)
        if not street.clear_of_crossings(s, 4.0):
            continue
        base = street.ground_point(s, t + sign * away)
        pick = rng.random()
        if pick < 0.6:
            contents.add_plant(make_tree(base, rng.uniform(6, 13), rng))
        elif pick < 0.75:
            contents.add_plant(make_conifer(base, rng.uniform(5, 12), rng))
        else:
            along = street.ground_point(s + 1, t + sign * away) - base
            contents.add_plant(make_bush(base, along, rng.uniform(2, 6), rng.uniform(0.8, 2.2), rng))


def _barrier(
    contents: Contents,
    street: Street,
    t: float,
    start: float,
    end: float,
    height: float,
    kind: str,
    rng: np.random.Generator,
) -> None:
    """Adds a fence, wall or hedge along the street, in short pieces with gaps."""
    if kind == "none":
        return
    seed = _seed(rng)
    s, piece = start, 3.0
    while s < end - piece:
        if street.clear_of_crossings(s + piece / 2, 5.0) and rng.random() < 0.93:
            first, last = street.ground_point(s, t), street.ground_point(s + piece, t)
            if kind == "hedge":
                contents.add_plant(make_bush(first, (last - first) / piece, piece, height, rng))
            else:
                draw = draw_wall if kind == "wall" else draw_fence
                contents.add((first + last) / 2, partial(draw, start=first, end=last, height=height, seed=seed))
            contents.footprints.append(
                np.stack([first, last, street.ground_point(s + piece, t * 1.01), street.ground_point(s, t * 1.01)])
            )
        s += piece


def _furniture(contents: Contents, street: Street, sign: int, rng: np.random.Generator) -> None:
    side = street.side(sign)
    curb = street.half_width + 0.45
    s, spacing = rng.uniform(6, 24), rng.uniform(18, 34)
    while s < _SEEN_M:
        _post(contents, street, s, sign * curb, partial(draw_lamp, towards_road=-sign), rng)
        s += spacing
    for _ in range(int(rng.integers(1, 6))):
        _post(contents, street, rng.uniform(6, 60), sign * curb, draw_sign, rng)
    for _ in range(int(rng.integers(0, 3))):
        t = sign * (curb + rng.uniform(0, max(side.sidewalk - 1, 0.1)))
        _post(contents, street, rng.uniform(6, 40), t, draw_bin, rng)
    if side.style == "town" and rng.random() < 0.3:
        start = rng.uniform(5, 20)
        for step in range(int(rng.integers(3, 9))):
            _post(contents, street, start + step * 1.6, sign * curb, draw_bollard, rng)
    for middle, half_width in street.crossings:
        if rng.random() < 0.65:
            for towards in (-1, 1):
                s = middle + towards * (half_width + 1.2)
                _post(
                    contents,
                    street,
                    s,
                    sign * (curb + 0.2),
                    partial(draw_traffic_light, towards_road=-sign),
                    rng,
                    claim=False,
                )


def _post(
    contents: Contents,
    street: Street,
    s: float,
    t: float,
    draw: Callable[..., None],
    rng: np.random.Generator,
    *,
    claim: bool = True,
) -> None:
    seed = _seed(rng)
    if claim and not (street.clear_of_crossings(s, 1.0) and contents.claim(s, t, 0.35)):
        return
    base = street.ground_point(s, t)
    if base[2] > 2.0:
        contents.add(base, partial(draw, base=base, heading=street.heading(s), seed=seed), 0.1)


def _background(contents: Contents, street: Street, rng: np.random.Generator) -> None:
    """Fills the background, at the end of the street and along crossing streets."""
    for sign in (-1, 1):
        side = street.side(sign)
        beyond = street.half_width + side.frontage + (6 if side.style == "park" else 30)
        s = rng.uniform(10, 30)
        while s < FAR_M:
            t = sign * (beyond + rng.uniform(0, 30))
            if rng.random() < (0.75 if side.style == "park" else 0.35):
                contents.add_plant(make_tree(street.ground_point(s, t), rng.uniform(8, 15), rng))
            elif rng.random() < 0.5:
                length = rng.uniform(12, 25)
                _add_house(
                    contents, street, Plot(s, s + length, t + sign * 6, 14.0, rng.uniform(6, 18), "town", _seed(rng))
                )
            s += rng.uniform(5, 16)
        for middle, half_width in street.crossings:
            for ahead in (-1, 1):
                t = sign * (beyond + rng.uniform(10, 30))
                s = middle + ahead * rng.uniform(0, half_width + 8)
                contents.add_plant(make_tree(street.ground_point(s, t), rng.uniform(7, 12), rng))
    for _ in range(14):
        s, t = rng.uniform(FAR_M * 0.85, FAR_M * 1.2), rng.uniform(-70, 70)
        if rng.random() < 0.6:
            contents.add_plant(make_tree(street.ground_point(s, t), rng.uniform(9, 17), rng))
        else:
            height = rng.uniform(8, 26)
            _add_house(contents, street, Plot(s, s + 14, t, rng.uniform(10, 26), height, "town", _seed(rng)))
