"""Places moving and parked objects: vehicles, people and bicycles."""

from __future__ import annotations

import numpy as np

from rapidseg.scenes.contents import Contents
from rapidseg.scenes.people import make_parked_cycle, make_pedestrian, make_rider
from rapidseg.scenes.street import Street
from rapidseg.scenes.vehicles import make_vehicle

_KINDS, _SHARES = ["car", "truck", "bus"], [0.86, 0.08, 0.06]
_HALF_LENGTH = {"car": 2.5, "truck": 4.8, "bus": 6.3, "tram": 14.0}


def place_traffic(contents: Contents, street: Street, rng: np.random.Generator) -> None:
    """Adds vehicles, then people."""
    busy = rng.choice([0.25, 0.6, 1.0], p=[0.3, 0.4, 0.3])
    _tram(contents, street, rng)
    _moving(contents, street, float(busy), rng)
    for sign in (-1, 1):
        if street.side(sign).parked:
            _parked(contents, street, sign, rng)
        _walkers(contents, street, sign, rng)
        _parked_cycles(contents, street, sign, rng)
    _riders(contents, street, rng)
    _people_crossing(contents, street, rng)


def _tram(contents: Contents, street: Street, rng: np.random.Generator) -> None:
    if street.tram_t is None or rng.random() > 0.75:
        return
    s = rng.uniform(26, 70)
    if contents.claim(s, street.tram_t, 1.0):
        contents.add_vehicle(
            make_vehicle("tram", street.ground_point(s, street.tram_t), street.heading(s) + np.pi, rng)
        )


def _moving(contents: Contents, street: Street, busy: float, rng: np.random.Generator) -> None:
    inner = 1.6 if street.tram_t is not None else 0.0
    for direction in (1, -1):  # away from the camera, and towards it
        for lane in range(street.lanes):
            t = direction * street.drive_side * (inner + (lane + 0.5) * street.lane_width)
            own = abs(t - street.camera_t) < 1.5
            s = rng.uniform(9, 40) if own else rng.uniform(5, 35)
            while s < 130:
                kind = str(rng.choice(_KINDS, p=_SHARES))
                s += _HALF_LENGTH[kind]
                if rng.random() < busy and (street.clear_of_crossings(s, 1.0) or rng.random() < 0.4):
                    aside = t + float(rng.normal(0, 0.15))
                    heading = street.heading(s) + (0 if direction > 0 else np.pi) + float(rng.normal(0, 0.02))
                    contents.add_vehicle(make_vehicle(kind, street.ground_point(s, aside), heading, rng))
                s += _HALF_LENGTH[kind] + rng.uniform(2.5, 6) / busy + rng.exponential(8 / busy)
    for middle, half_width in street.crossings:  # waiting in the crossing street
        if rng.random() < 0.35 and middle > 14:
            sign = int(rng.choice([-1, 1]))
            t = sign * (street.half_width + rng.uniform(2.5, 9))
            s = middle + sign * street.drive_side * half_width * 0.45
            heading = street.heading(s) - sign * np.pi / 2
            contents.add_vehicle(make_vehicle("car", street.ground_point(s, t), heading, rng))


def _parked(contents: Contents, street: Street, sign: int, rng: np.random.Generator) -> None:
    t = sign * (street.half_width - 1.02)
    facing = 0.0 if sign == street.drive_side else np.pi
    s, fullness = rng.uniform(4.5, 12), rng.uniform(0.4, 0.95)
    while s < 110:
        kind = "truck" if rng.random() < 0.03 else "car"
        s += _HALF_LENGTH[kind]
        if rng.random() < fullness and street.clear_of_crossings(s, 6.0):
            turned = facing if rng.random() < 0.9 else facing + np.pi
            heading = street.heading(s) + turned + float(rng.normal(0, 0.02))
            contents.add_vehicle(
                make_vehicle(kind, street.ground_point(s, t + float(rng.normal(0, 0.06))), heading, rng)
            )
        elif rng.random() < 0.12:
            base = street.ground_point(s, t)
            contents.add_figure(
                make_parked_cycle(base, street.heading(s) + sign * rng.uniform(0.8, 1.4), rng, motorcycle=True)
            )
        s += _HALF_LENGTH[kind] + rng.uniform(0.4, 1.6)


def _walkers(contents: Contents, street: Street, sign: int, rng: np.random.Generator) -> None:
    side = street.side(sign)
    mean = {"town": 7.0, "suburb": 2.0, "park": 2.5}[side.style]
    for _ in range(int(rng.poisson(mean))):
        s = 6 + float(rng.exponential(22))
        t = street.half_width + side.verge + rng.uniform(0.5, max(side.sidewalk - 0.4, 0.6))
        heading = street.heading(s) + (0 if rng.random() < 0.5 else np.pi) + float(rng.normal(0, 0.25))
        if rng.random() < 0.12:
            heading = rng.uniform(0, 2 * np.pi)
        if s > 120 or not street.clear_of_crossings(s, 1.0):
            continue
        for companion in range(2 if rng.random() < 0.25 else 1):
            person_t = sign * (t + companion * 0.65)
            if contents.claim(s, person_t, 0.3):
                contents.add_figure(make_pedestrian(street.ground_point(s, person_t), heading, rng))


def _people_crossing(contents: Contents, street: Street, rng: np.random.Generator) -> None:
    spots = [middle - half_width - 2.4 for middle, half_width in street.crossings] + [float(rng.uniform(14, 60))]
    for s in spots:
        for _ in range(int(rng.poisson(0.7))):
            at, t = s + float(rng.normal(0, 0.8)), rng.uniform(-street.half_width, street.half_width)
            if at > 8 and contents.claim(at, t, 0.9):
                heading = street.heading(at) + rng.choice([-1, 1]) * np.pi / 2 + float(rng.normal(0, 0.2))
                contents.add_figure(make_pedestrian(street.ground_point(at, t), heading, rng))


def _riders(contents: Contents, street: Street, rng: np.random.Generator) -> None:
    for _ in range(int(rng.poisson(1.3))):
        s, with_us = 8 + float(rng.exponential(20)), rng.random() < 0.65
        motorcycle = bool(rng.random() < 0.3)
        parked = 2.1 if street.left.parked or street.right.parked else 0.0
        edge = street.half_width - parked - (rng.uniform(1.2, 2.0) if motorcycle else rng.uniform(0.4, 0.9))
        t = street.drive_side * edge * (1 if with_us else -1)
        if s < 100 and contents.claim(s, t, 1.0):
            heading = street.heading(s) + (0 if with_us else np.pi) + float(rng.normal(0, 0.06))
            contents.add_figure(make_rider(street.ground_point(s, t), heading, rng, motorcycle=motorcycle))


def _parked_cycles(contents: Contents, street: Street, sign: int, rng: np.random.Generator) -> None:
    if rng.random() > 0.4:
        return
    side = street.side(sign)
    s, across = rng.uniform(7, 40), rng.random() < 0.5
    t = sign * (street.half_width + side.verge + min(side.sidewalk * 0.5, 1.1))
    turn = rng.uniform(1.1, 1.6) if across else 0.1
    for _ in range(int(rng.integers(1, 7))):
        s += rng.uniform(0.5, 0.9) if across else rng.uniform(1.8, 2.4)
        if street.clear_of_crossings(s, 2.0):
            heading = street.heading(s) + turn + float(rng.normal(0, 0.06))
            motorcycle = bool(rng.random() < 0.1)
            contents.claim(s, t, 0.4)
            contents.add_figure(make_parked_cycle(street.ground_point(s, t), heading, rng, motorcycle=motorcycle))
