"""Draws the built-in sample, `src/rapidseg/assets/sample.png`.

    python scripts/draw_sample.py

It is a scene of `rapidseg.scenes`. Its seed is used for nothing else, so it is in no training data.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from rapidseg.core.files import write_bytes
from rapidseg.core.sizes import format_size
from rapidseg.scenes import draw_scene

SEED, SCENE, SIZE_HW = 2019, 99, (640, 1280)
SAMPLE = Path(__file__).resolve().parents[1] / "src" / "rapidseg" / "assets" / "sample.png"


def main() -> None:
    content = io.BytesIO()
    Image.fromarray(draw_scene(SEED, SCENE, SIZE_HW).image).save(content, "PNG", optimize=True)
    write_bytes(SAMPLE, content.getvalue())
    print(f"{SAMPLE}: {format_size(SIZE_HW)} pixels, {len(content.getvalue()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
