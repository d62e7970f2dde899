"""Draws the subpackages, their sizes and who imports whom, into docs/images/architecture.svg.

The rows are those of the import contract in pyproject.toml, the arrows are read from the source. Needs the `dev` extra.
A test draws it again and compares, so that the picture cannot be out of date.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import grimp

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "rapidseg"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"

BOX_HW = (52, 168)
GAP_HW = (46, 22)
MARGIN = 32

Point = tuple[float, float]


@dataclass(frozen=True)
class Structure:
    """The subpackages as they are.

    Attributes:
        rows: names of the subpackages in each row, the uppermost first.
        lines: source lines of each subpackage.
        imports: pairs (importer, imported) of subpackages.
    """

    rows: tuple[tuple[str, ...], ...]
    lines: dict[str, int]
    imports: frozenset[tuple[str, str]]

    def upward(self) -> list[tuple[str, str]]:
        """Returns imports that do not lead to a lower row."""
        row_of = {subpackage: index for index, row in enumerate(self.rows) for subpackage in row}
        return sorted((above, below) for above, below in self.imports if row_of[above] >= row_of[below])


def read_structure() -> Structure:
    """Reads the rows from pyproject.toml, and lines and imports from the source."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rows = tuple(tuple(name.strip().removeprefix("rapidseg.") for name in layer.split("|")) for layer in layers)
    subpackages = [subpackage for row in rows for subpackage in row]
    lines = {
        subpackage: sum(
            len(file.read_text(encoding="utf-8").splitlines()) for file in (PACKAGE / subpackage).rglob("*.py")
        )
        for subpackage in subpackages
    }
    graph = grimp.build_graph("rapidseg", cache_dir=None)
    imports = set()
    for module in graph.modules:
        importer = module.split(".")[1:2]
        for imported_module in graph.find_modules_directly_imported_by(module):
            imported = imported_module.split(".")[1:2]
            if importer and imported and importer != imported and {*importer, *imported} <= set(subpackages):
                imports.add((importer[0], imported[0]))
    return Structure(rows, lines, frozenset(imports))


def draw(structure: Structure) -> str:
    """Returns the picture as SVG. Arrows that another path implies are not drawn; the others lead around the boxes."""
    box_h, box_w = BOX_HW
    gap_h, gap_w = GAP_HW
    width = max(len(row) for row in structure.rows) * (box_w + gap_w) - gap_w + 2 * MARGIN
    height = len(structure.rows) * (box_h + gap_h) - gap_h + 2 * MARGIN
    corners: dict[str, Point] = {}
    for index, row in enumerate(structure.rows):
        left = (width - len(row) * (box_w + gap_w) + gap_w) / 2
        for column, subpackage in enumerate(row):
            corners[subpackage] = (left + column * (box_w + gap_w), MARGIN + index * (box_h + gap_h))
    total = sum(structure.lines.values())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        "<title>Rooms of the package: each imports only from rows below it</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#7c8aa5"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff" rx="8"/>',
    ]
    parts += [
        f'<path d="{_smooth(points)}" fill="none" stroke="#93a1bd" stroke-width="1.4" marker-end="url(#tip)"/>'
        for points in _route(sorted(_without_shortcuts(structure.imports)), structure.rows, corners)
    ]
    for subpackage, (x, y) in corners.items():
        parts.append(
            f'<rect x="{x:.0f}" y="{y}" width="{box_w}" height="{box_h}" rx="7" fill="#eef2fb" stroke="#5369a5"/>'
            f'<text x="{x + box_w / 2:.0f}" y="{y + 23}" text-anchor="middle" font-size="16" font-weight="600" '
            f'fill="#22304f">{subpackage}</text>'
            f'<text x="{x + box_w / 2:.0f}" y="{y + 41}" text-anchor="middle" font-size="12" fill="#5a6782">'
            f"{_share(structure.lines[subpackage] / total)} of the lines</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def _share(share: float) -> str:
    """Returns a share in steps of 5 %, so that a few new lines do not change the picture."""
    steps = round(20 * share)
    return f"about {5 * steps} %" if steps else "under 3 %"


def _route(
    arrows: list[tuple[str, str]], rows: tuple[tuple[str, ...], ...], corners: dict[str, Point]
) -> list[list[Point]]:
    """Returns the points of each arrow: from box to box, through a gap of every row that lies between them."""
    box_h, box_w = BOX_HW
    row_of = {subpackage: index for index, row in enumerate(rows) for subpackage in row}
    gaps: dict[tuple[str, str], list[tuple[int, float]]] = {}  # row, and center of the gap, of each arrow
    for above, below in arrows:
        x, end = corners[above][0] + box_w / 2, corners[below][0] + box_w / 2
        passed = []
        for row in range(row_of[above] + 1, row_of[below]):
            toward = x + (end - x) / (row_of[below] - row + 1)
            x = min(_gap_centers([corners[name][0] for name in rows[row]]), key=lambda center: abs(center - toward))
            passed.append((row, x))
        gaps[above, below] = passed
    lanes: dict[tuple[int, float], list[tuple[str, str]]] = {}  # the arrows through each gap, from left to right
    for arrow in sorted(arrows, key=lambda arrow: (corners[arrow[0]][0], corners[arrow[1]][0])):
        for gap in gaps[arrow]:
            lanes.setdefault(gap, []).append(arrow)
    routes = []
    for above, below in arrows:
        first = gaps[above, below][0][1] if gaps[above, below] else corners[below][0] + box_w / 2
        last = gaps[above, below][-1][1] if gaps[above, below] else corners[above][0] + box_w / 2
        points = [(_port(corners[above][0], first), corners[above][1] + box_h)]
        for gap in gaps[above, below]:
            lane = lanes[gap]
            x = gap[1] + (lane.index((above, below)) - (len(lane) - 1) / 2) * min(6, (GAP_HW[1] - 6) / len(lane))
            y = MARGIN + gap[0] * (box_h + GAP_HW[0])
            points += [(x, float(y)), (x, float(y + box_h))]
        routes.append([*points, (_port(corners[below][0], last), corners[below][1] - 1)])
    return routes


def _gap_centers(lefts: list[float]) -> list[float]:
    """Returns the centers of the gaps between the boxes of a row, and of those to its left and right."""
    return [left - GAP_HW[1] / 2 for left in lefts] + [max(lefts) + BOX_HW[1] + GAP_HW[1] / 2]


def _port(left: float, toward: float) -> float:
    """Returns where on the edge of a box an arrow begins or ends: nearer to the side from which it comes."""
    center = left + BOX_HW[1] / 2
    return center + max(-0.38, min(0.38, (toward - center) / 1000)) * BOX_HW[1]


def _smooth(points: list[Point]) -> str:
    """Returns the path of a line that leaves and reaches every point vertically."""
    path = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        bend = (y2 - y1) / 2
        path += (
            f"L{x2:.0f} {y2:.0f}"
            if round(x1) == round(x2)
            else f"C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"
        )
    return path


def _without_shortcuts(imports: frozenset[tuple[str, str]]) -> set[tuple[str, str]]:
    """Returns the pairs that no longer path of pairs implies."""
    below: dict[str, set[str]] = {}
    for above, target in imports:
        below.setdefault(above, set()).add(target)

    def reached(subpackage: str, *, longer_than_one: bool) -> set[str]:
        targets: set[str] = set()
        pending = (
            [step for first in below.get(subpackage, ()) for step in below.get(first, ())]
            if longer_than_one
            else [subpackage]
        )
        while pending:
            current = pending.pop()
            if current not in targets:
                targets.add(current)
                pending.extend(below.get(current, ()))
        return targets

    return {(above, target) for above, target in imports if target not in reached(above, longer_than_one=True)}


if __name__ == "__main__":
    structure = read_structure()
    PICTURE.write_text(draw(structure), encoding="utf-8")
    for above, target in structure.upward():
        print(f"not downward: {above} imports {target}")
    print(f"wrote {PICTURE.relative_to(ROOT)}")
