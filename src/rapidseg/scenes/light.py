"""Time of day and weather: the colors of surfaces, sky and haze."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Light:
    """The light of a scene. Colors are RGB, 0..255; gains multiply them.

    Attributes:
        weather: `sunny`, `cloudy`, `overcast`, `dusk`, `fog` or `rain`.
        sun: unit vector (3,) towards the sun, in the camera's frame.
        sun_gain: gain of full sunlight, RGB (3,).
        sky_gain: gain of the light of the whole sky, RGB (3,).
        zenith, horizon: colors of the clear sky, RGB (3,).
        cloud_cover: share of the sky covered by clouds, 0..1.
        haze_color: color of haze in front of distant objects, RGB (3,).
        haze_per_m: share of light lost per meter.
        wetness: reflectance of the road, 0..1.
    """

    weather: str
    sun: np.ndarray
    sun_gain: np.ndarray
    sky_gain: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    cloud_cover: float
    haze_color: np.ndarray
    haze_per_m: float
    wetness: float

    def gain(self, normals: np.ndarray, sunlit: float | np.ndarray = 1.0) -> np.ndarray:
        """Returns the RGB gain (..., 3) of surfaces with unit normals (..., 3); `sunlit` is 0 in full shadow."""
        towards_sun = np.maximum(normals @ self.sun, 0.0) * sunlit
        open_sky = 0.8 + 0.2 * normals[..., 1]
        gain: np.ndarray = self.sky_gain * open_sky[..., None] + self.sun_gain * towards_sun[..., None]
        return gain

    def haze(self, distance_m: float) -> float:
        """Returns the share of haze in the color of an object at this distance, 0..1."""
        return float(1.0 - np.exp(-self.haze_per_m * distance_m))

    def through_haze(self, color: np.ndarray, distance_m: float) -> np.ndarray:
        haze = self.haze(distance_m)
        mixed: np.ndarray = color * (1 - haze) + self.haze_color * haze
        return mixed

    def reflected(self, directions: np.ndarray) -> np.ndarray:
        """Returns the RGB (..., 3) of reflections in unit directions (..., 3): ground, a row of houses, sky."""
        up = directions[..., 1:2]
        sky = self.horizon + (self.zenith - self.horizon) * np.clip(up * 1.2, 0, 1)
        houses = 0.42 * self.sky_gain * np.array([120.0, 115.0, 108.0])
        ground = 0.55 * self.sky_gain * np.array([105.0, 105.0, 108.0])
        above = houses + (sky - houses) * np.clip((up - 0.12) / 0.15, 0, 1)
        mirrored: np.ndarray = ground + (above - ground) * np.clip((up + 0.05) / 0.08, 0, 1)
        return mirrored


def _rgb(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def draw_light(rng: np.random.Generator) -> Light:
    """Returns a random time of day and weather."""
    weather = str(
        rng.choice(["sunny", "cloudy", "overcast", "dusk", "fog", "rain"], p=[0.34, 0.2, 0.2, 0.1, 0.06, 0.1])
    )
    elevation = np.deg2rad(rng.uniform(4, 12) if weather == "dusk" else rng.uniform(22, 62))
    azimuth = np.deg2rad(rng.uniform(35, 325))  # 0 is straight ahead, where the sun would blind the camera
    sun = np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
    strength = rng.uniform(0.9, 1.1)
    if weather == "sunny":
        sun_gain, sky_gain = _rgb(0.80, 0.75, 0.67), _rgb(0.47, 0.50, 0.56)
        zenith, horizon, cover, haze = _rgb(78, 128, 198), _rgb(196, 216, 236), rng.uniform(0.0, 0.35), 0.0006
    elif weather == "cloudy":
        sun_gain, sky_gain = _rgb(0.46, 0.43, 0.38), _rgb(0.60, 0.63, 0.68)
        zenith, horizon, cover, haze = _rgb(104, 146, 200), _rgb(208, 220, 232), rng.uniform(0.4, 0.8), 0.0010
    elif weather == "overcast":
        sun_gain, sky_gain = _rgb(0.07, 0.07, 0.06), _rgb(0.84, 0.86, 0.88)
        zenith, horizon, cover, haze = _rgb(178, 186, 196), _rgb(232, 234, 236), rng.uniform(0.9, 1.0), 0.0016
    elif weather == "dusk":
        sun_gain, sky_gain = _rgb(0.50, 0.36, 0.24), _rgb(0.46, 0.46, 0.52)
        zenith, horizon, cover, haze = _rgb(112, 132, 172), _rgb(238, 204, 166), rng.uniform(0.1, 0.6), 0.0012
    elif weather == "fog":
        sun_gain, sky_gain = _rgb(0.0, 0.0, 0.0), _rgb(0.84, 0.85, 0.86)
        zenith, horizon, cover, haze = _rgb(196, 200, 204), _rgb(206, 209, 212), 1.0, rng.uniform(0.007, 0.02)
    else:
        sun_gain, sky_gain = _rgb(0.0, 0.0, 0.0), _rgb(0.60, 0.63, 0.67)
        zenith, horizon, cover, haze = _rgb(138, 147, 158), _rgb(190, 196, 202), 1.0, rng.uniform(0.002, 0.005)
    haze_color = horizon * 0.92
    return Light(
        weather=weather,
        sun=sun,
        sun_gain=sun_gain * strength,
        sky_gain=sky_gain * strength,
        zenith=zenith,
        horizon=horizon,
        cloud_cover=float(cover),
        haze_color=haze_color,
        haze_per_m=float(haze),
        wetness=float(rng.uniform(0.5, 1.0)) if weather == "rain" else 0.0,
    )
