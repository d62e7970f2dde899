"""Earlier names of options, so that older commands are answered with the current name."""

from __future__ import annotations

# Old name: current names. A command that has one of these is meant.
RENAMED_OPTIONS = {
    "--size": ("--input-size", "--image-size"),
    "--sizes": ("--input-sizes", "--image-size"),
    "--map": ("--class-mapping",),
    "--against": ("--baseline",),
}
