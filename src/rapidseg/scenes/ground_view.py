"""The ground point of each pixel, and textures on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rapidseg.scenes.noise import TILE, cloud_tile, sample


@dataclass(frozen=True)
class GroundView:
    """The ground points of the pixels below the horizon; all float32, (rows, W) or (rows, 1).

    Attributes:
        s, t: street coordinates in meters.
        along, across: size of a pixel on the ground in meters, in depth and sideways.
    """

    s: np.ndarray
    t: np.ndarray
    along: np.ndarray
    across: np.ndarray

    def fade(self, size_m: float) -> np.ndarray:
        """Returns the visible contrast of details of `size_m` meters, 0..1: far away they average out."""
        seen: np.ndarray = np.clip(np.float32(size_m) / np.maximum(self.along, self.across) - np.float32(0.3), 0, 1)
        return seen

    def texture(
        self, texels_per_m: float, exponent: float, rng: np.random.Generator, *, stretch: float = 1.0
    ) -> np.ndarray:
        """Returns noise (rows, W), mean 0 and variance 1 near the camera, stretched along the street by `stretch`."""
        offset = rng.uniform(0, TILE, 2).astype(np.float32)
        fade = self.fade(2 / texels_per_m)
        rows = int(np.searchsorted(fade[:, 0] > 0, True))  # above this row it is not visible
        values = np.zeros(self.t.shape, np.float32)
        if rows < len(values):
            columns = self.t[rows:] * np.float32(texels_per_m) + offset[0]
            along = self.s[rows:] * np.float32(texels_per_m / stretch) + offset[1]
            values[rows:] = sample(cloud_tile(exponent, 2), columns, along) * fade[rows:]
        return values


def band(position: np.ndarray, middle: float, half_width: float, footprint: np.ndarray) -> np.ndarray:
    """Returns the share of each pixel within `half_width` of `middle`, 0..1; exact for a box-shaped pixel."""
    reach = (np.float32(half_width) - np.abs(position - np.float32(middle))) / footprint + np.float32(0.5)
    share: np.ndarray = np.clip(reach, 0, np.minimum(1, np.float32(2 * half_width) / footprint))
    return share


def stripes(position: np.ndarray, spacing: float, width: float, footprint: np.ndarray) -> np.ndarray:
    """Returns the share of each pixel on stripes of `width`, repeated every `spacing` meters, 0..1."""
    away = np.abs(position - np.float32(spacing) * np.rint(position / np.float32(spacing)))
    share: np.ndarray = np.clip((np.float32(width / 2) - away) / footprint + np.float32(0.5), 0, 1)
    share *= np.clip(np.float32(spacing * 0.5) / footprint - np.float32(0.4), 0, 1)
    return share
