"""People who walk, stand and ride."""

from __future__ import annotations

import numpy as np

from rapidseg.scenes.canvas import Label
from rapidseg.scenes.limbs_and_wheels import Figure, Limb, Wheel
from rapidseg.scenes.meshes import Pose

Point = tuple[float, float, float]

_SKIN = np.array([[214, 168, 140], [198, 148, 118], [154, 108, 80], [104, 72, 54], [224, 184, 160]], np.float64)
_HAIR = np.array([[38, 30, 26], [70, 50, 36], [112, 82, 52], [176, 150, 104], [124, 122, 120]], np.float64)
_TOPS = np.array(
    [
        [40, 42, 48], [58, 66, 84], [92, 94, 98], [150, 40, 44], [44, 78, 124], [196, 192, 184], [86, 74, 60],
        [60, 84, 62], [176, 140, 84], [108, 54, 86], [222, 220, 216], [30, 30, 34],
    ],
    np.float64,
)  # fmt: skip
_TROUSERS = np.array(
    [[38, 40, 46], [56, 66, 90], [74, 76, 80], [112, 102, 84], [30, 30, 32], [84, 92, 110]], np.float64
)
_HELMETS = np.array([[180, 48, 44], [40, 42, 46], [206, 208, 206], [44, 84, 140], [92, 96, 100]], np.float64)
_SHOES = np.array([[30, 28, 28], [82, 62, 48], [186, 184, 180]], np.float64)


class _Body:
    """The clothes of a person, and the limbs so far."""

    def __init__(self, rng: np.random.Generator, label: Label, scale: float) -> None:
        self.rng, self.label, self.scale = rng, label, scale
        self.limbs: list[Limb] = []
        self.skin = _SKIN[rng.choice(len(_SKIN), p=[0.35, 0.25, 0.15, 0.1, 0.15])]
        self.hair = _HAIR[rng.integers(len(_HAIR))]
        self.top = _TOPS[rng.integers(len(_TOPS))] * rng.uniform(0.8, 1.15)
        self.trousers = _TROUSERS[rng.integers(len(_TROUSERS))] * rng.uniform(0.8, 1.15)
        self.shoes = _SHOES[rng.integers(len(_SHOES))]

    def add(
        self,
        start: Point,
        end: Point,
        start_radius: float,
        end_radius: float,
        color: np.ndarray,
        start_wide: float = 0.0,
        end_wide: float = 0.0,
    ) -> None:
        scale = self.scale
        first, last = [(point[0] * scale, point[1] * scale, point[2] * scale) for point in (start, end)]
        radii, wide = (start_radius * scale, end_radius * scale), (start_wide * scale, end_wide * scale)
        self.limbs.append(Limb(first, last, *radii, color, self.label, *wide))

    def shoulders(self, x: float, y: float) -> None:
        """Adds the shoulders at height `y`."""
        self.add((x, y - 0.10, 0), (x, y + 0.02, 0), 0.10, 0.055, self.top, 0.10, 0.025)

    def head(self, x: float, y: float, *, helmet: bool = False) -> None:
        """Adds neck, head and hair; `y` is the height of the shoulders."""
        y -= 0.04
        self.add((x, y, 0), (x + 0.02, y + 0.12, 0), 0.055, 0.055, self.skin * 0.9)
        self.add((x + 0.03, y + 0.17, 0), (x + 0.025, y + 0.25, 0), 0.078, 0.092, self.skin)
        color = _HELMETS[self.rng.integers(len(_HELMETS))] if helmet and self.rng.random() < 0.6 else self.hair
        self.add((x - 0.01, y + 0.29, 0), (x - 0.035, y + 0.22, 0), 0.098, 0.088, color)
        if self.rng.random() < 0.35 and not helmet:  # long hair
            self.add((x - 0.04, y + 0.25, 0), (x - 0.06, y + 0.05, 0), 0.085, 0.07, self.hair)


def _turn(start: Point, length: float, angle: float, aside: float = 0.0) -> Point:
    """Returns the end of a hanging bone of a length that is swung forward by an angle in radians."""
    return (start[0] + length * np.sin(angle), start[1] - length * np.cos(angle), start[2] + aside)


def make_pedestrian(base: np.ndarray, heading: float, rng: np.random.Generator) -> Figure:
    """Returns a person who walks or stands."""
    child = rng.random() < 0.08
    body = _Body(rng, Label.PERSON, rng.uniform(0.62, 0.78) if child else rng.uniform(0.92, 1.06))
    stride = rng.uniform(0.22, 0.48) if rng.random() < 0.75 else rng.uniform(0.0, 0.06)
    phase = rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0)
    hip, shoulder = 0.90, 1.42
    coat = rng.random() < 0.3
    skirt = not coat and rng.random() < 0.15
    for side in (-1, 1):
        swing = stride * phase * side
        joint = (0.0, hip, side * 0.09)
        knee = _turn(joint, 0.43, swing)
        ankle = _turn(knee, 0.41, swing - (0.5 * stride if swing < 0 else 0.05))
        bare = skirt and rng.random() < 0.8
        leg = body.skin if bare else body.trousers
        body.add(joint, knee, 0.088, 0.062, body.trousers)
        body.add(knee, ankle, 0.060, 0.043, leg)
        body.add(ankle, (ankle[0] + 0.17, ankle[1] - 0.03, ankle[2]), 0.045, 0.035, body.shoes)
        elbow = _turn((0.0, shoulder - 0.04, side * 0.20), 0.28, -swing * 0.9, side * 0.03)
        hand = _turn(elbow, 0.25, -swing * 0.9 + 0.3)
        body.add((0.0, shoulder - 0.04, side * 0.18), elbow, 0.058, 0.045, body.top * 0.93)
        body.add(elbow, hand, 0.044, 0.034, body.top * 0.93 if rng.random() < 0.8 else body.skin)
        body.add(hand, (hand[0] + 0.02, hand[1] - 0.07, hand[2]), 0.035, 0.03, body.skin)
    if coat or skirt:
        body.add((0.0, hip + 0.1, 0.0), (0.0, 0.62, 0.0), 0.11, 0.1, body.top if coat else body.trousers, 0.06, 0.1)
    body.add((0.0, hip - 0.02, 0.0), (0.02, shoulder - 0.1, 0.0), 0.10, 0.105, body.top, 0.055, 0.09)
    body.shoulders(0.02, shoulder)
    body.head(0.02, shoulder)
    if rng.random() < 0.25:  # a backpack
        body.add((-0.17, 1.32, 0.0), (-0.19, 1.05, 0.0), 0.12, 0.13, _TOPS[rng.integers(len(_TOPS))])
    elif rng.random() < 0.3:  # a bag in the hand
        side = rng.choice([-1, 1])
        body.add((0.05, 0.62, side * 0.27), (0.05, 0.48, side * 0.27), 0.08, 0.12, _TOPS[rng.integers(len(_TOPS))])
    return Figure(Pose(base, heading), tuple(body.limbs))


def bicycle_parts(rng: np.random.Generator) -> tuple[list[Limb], list[Wheel]]:
    """Returns a bicycle, its back wheel at x = -0.52 and its front wheel at x = 0.52."""
    label = Label.BICYCLE
    paints = np.array([[40, 42, 46], [150, 36, 36], [44, 84, 140], [190, 192, 196], [60, 110, 76]], np.float64)
    paint = paints[rng.integers(len(paints))]
    black = np.array([32.0, 32.0, 34.0])
    crank, saddle, head, bar = (-0.10, 0.30, 0.0), (-0.24, 0.92, 0.0), (0.38, 0.82, 0.0), (0.34, 1.05, 0.0)
    back, front = (-0.52, 0.34, 0.0), (0.52, 0.34, 0.0)
    tubes = [
        (crank, saddle),
        (crank, head),
        ((-0.2, 0.78, 0.0), head),
        (crank, back),
        ((-0.2, 0.78, 0.0), back),
        (head, front),
    ]
    limbs = [Limb(start, end, 0.022, 0.022, paint, label) for start, end in tubes]
    limbs.append(Limb(head, bar, 0.018, 0.018, black, label))
    limbs.append(Limb((0.30, 1.06, -0.27), (0.30, 1.06, 0.27), 0.018, 0.018, black, label))
    limbs.append(Limb((-0.34, 0.95, 0.0), (-0.14, 0.95, 0.0), 0.055, 0.03, black, label))
    limbs.append(Limb((-0.10, 0.20, 0.10), (-0.10, 0.40, -0.10), 0.018, 0.018, black, label))
    limbs.append(Limb((-0.55, 0.75, 0.0), (-0.30, 0.75, 0.0), 0.02, 0.02, black, label))
    return limbs, [Wheel((x, 0.34, 0.0), 0.34, 0.035, False, label) for x in (-0.52, 0.52)]


def motorcycle_parts(rng: np.random.Generator) -> tuple[list[Limb], list[Wheel]]:
    """Returns a motorcycle or a scooter."""
    label = Label.MOTORCYCLE
    paints = np.array([[160, 30, 30], [34, 36, 40], [40, 70, 140], [196, 196, 198], [60, 64, 68]], np.float64)
    paint = paints[rng.integers(len(paints))]
    black, steel = np.array([34.0, 34.0, 36.0]), np.array([140.0, 142.0, 144.0])
    limbs = [
        Limb((-0.15, 0.42, 0.0), (0.22, 0.45, 0.0), 0.20, 0.18, black * 1.4, label),
        Limb((0.05, 0.80, 0.0), (0.38, 0.84, 0.0), 0.15, 0.13, paint, label),
        Limb((-0.65, 0.82, 0.0), (-0.05, 0.78, 0.0), 0.10, 0.13, black, label),
        Limb((-0.85, 0.78, 0.0), (-0.55, 0.72, 0.0), 0.06, 0.12, paint, label),
        Limb((0.45, 0.95, 0.0), (0.72, 0.32, 0.0), 0.045, 0.035, steel, label),
        Limb((-0.20, 0.40, 0.0), (-0.68, 0.32, 0.0), 0.05, 0.04, black, label),
        Limb((-0.75, 0.36, 0.14), (-0.05, 0.32, 0.14), 0.055, 0.04, steel, label),
        Limb((0.40, 1.05, -0.34), (0.40, 1.05, 0.34), 0.022, 0.022, black, label),
        Limb((0.52, 0.88, 0.0), (0.58, 0.88, 0.0), 0.11, 0.09, steel, label),
        Limb((0.48, 1.00, 0.0), (0.42, 1.18, 0.0), 0.11, 0.06, paint * 0.9, label),
        Limb((0.60, 0.62, 0.0), (0.82, 0.62, 0.0), 0.07, 0.05, paint, label),
        Limb((-0.88, 0.80, 0.0), (-0.92, 0.80, 0.0), 0.05, 0.05, np.array([150.0, 24.0, 22.0]), label),
    ]
    return limbs, [Wheel((x, 0.31, 0.0), 0.31, 0.11, True, label) for x in (-0.68, 0.72)]


def make_rider(base: np.ndarray, heading: float, rng: np.random.Generator, *, motorcycle: bool) -> Figure:
    """Returns a bicycle or a motorcycle with its rider."""
    parts, wheels = motorcycle_parts(rng) if motorcycle else bicycle_parts(rng)
    body = _Body(rng, Label.RIDER, 1.0)
    hip = (-0.25, 0.92, 0.0) if motorcycle else (-0.22, 1.02, 0.0)
    shoulder = (0.0, 1.42, 0.0) if motorcycle else (0.03 + rng.uniform(-0.08, 0.1), 1.50, 0.0)
    turn = rng.uniform(0, 2 * np.pi)
    for side in (-1, 1):
        joint = (hip[0], hip[1], side * 0.09)
        if motorcycle:
            knee, ankle = (0.12, 0.78, side * 0.2), (-0.05, 0.36, side * 0.2)
        else:
            ankle = (
                -0.10 + 0.17 * np.cos(turn + side * np.pi / 2),
                0.34 + 0.17 * np.sin(turn + side * np.pi / 2),
                side * 0.13,
            )
            reach = np.array([ankle[0] - joint[0], ankle[1] - joint[1]])
            bend = np.sqrt(max(0.45**2 - float(reach @ reach) / 4, 0.0))
            forward = np.array([-reach[1], reach[0]]) / max(float(np.linalg.norm(reach)), 1e-6)
            middle = np.array([joint[0], joint[1]]) + reach / 2 + forward * bend
            knee = (float(middle[0]), float(middle[1]), side * 0.12)
        body.add(joint, knee, 0.09, 0.065, body.trousers)
        body.add(knee, ankle, 0.06, 0.045, body.trousers)
        body.add(
            (ankle[0] - 0.05, ankle[1] - 0.03, ankle[2]),
            (ankle[0] + 0.14, ankle[1] - 0.05, ankle[2]),
            0.04,
            0.035,
            body.shoes,
        )
        hand = (0.38, 1.08, side * 0.3) if motorcycle else (0.30, 1.09, side * 0.25)
        arm = (shoulder[0], shoulder[1] - 0.04, side * 0.18)
        elbow = ((arm[0] + hand[0]) / 2 - 0.05, (arm[1] + hand[1]) / 2 - 0.07, side * 0.27)
        body.add(arm, elbow, 0.058, 0.046, body.top * 0.93)
        body.add(elbow, hand, 0.045, 0.036, body.top * 0.93)
    body.add(hip, (shoulder[0], shoulder[1] - 0.1, 0.0), 0.11, 0.105, body.top, 0.05, 0.09)
    body.shoulders(shoulder[0], shoulder[1])
    body.head(shoulder[0] + 0.05, shoulder[1], helmet=True)
    if motorcycle:
        head = (shoulder[0] + 0.07, shoulder[1] + 0.22, 0.0)
        body.add(head, (head[0], head[1] + 0.04, 0.0), 0.14, 0.135, np.array([60.0, 60.0, 64.0]))
    return Figure(Pose(base, heading), (*parts, *body.limbs), tuple(wheels))


def make_parked_cycle(base: np.ndarray, heading: float, rng: np.random.Generator, *, motorcycle: bool) -> Figure:
    """Returns a bicycle or a motorcycle without a rider."""
    parts, wheels = motorcycle_parts(rng) if motorcycle else bicycle_parts(rng)
    return Figure(Pose(base, heading), tuple(parts), tuple(wheels))
