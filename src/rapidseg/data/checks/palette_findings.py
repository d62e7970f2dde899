"""Compares the palettes of all masks of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from rapidseg.core.labels import Color
from rapidseg.data.checks.check_report import FileFinding
from rapidseg.data.checks.findings import Palette, Tally
from rapidseg.data.checks.mask_evidence import describe_difference


def add_palette_findings(tallies: Mapping[str, Tally]) -> None:
    """Adds to each tally the masks in which an id has another color than in most masks of the data set."""
    formats = {format_id for tally in tallies.values() for format_id, _ in tally.palettes}
    for format_id in formats:
        masks = list(_masks_of(tallies, format_id))
        usual = _usual_colors(masks)
        for tally, palette, path in masks:
            for value, color in palette:
                first, example = usual[value]
                if color != first:
                    difference = describe_difference((value, color, first, example))
                    tally.differing.append(FileFinding(path, difference))
                    break


def _masks_of(tallies: Mapping[str, Tally], format_id: int) -> Iterator[tuple[Tally, Palette, Path]]:
    for tally in tallies.values():
        for (other_id, palette), paths in tally.palettes.items():
            if other_id == format_id:
                yield from ((tally, palette, path) for path in paths)


def _usual_colors(masks: list[tuple[Tally, Palette, Path]]) -> dict[int, tuple[Color, Path]]:
    """Returns the most frequent color of each id, and a mask that has it."""
    counts: dict[int, Counter[Color]] = {}
    examples: dict[tuple[int, Color], Path] = {}
    for _, palette, path in masks:
        for value, color in palette:
            counts.setdefault(value, Counter())[color] += 1
            examples.setdefault((value, color), path)
    usual = {value: colors.most_common(1)[0][0] for value, colors in counts.items()}
    return {value: (color, examples[value, color]) for value, color in usual.items()}
