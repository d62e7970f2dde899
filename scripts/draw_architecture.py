"""Draws the subpackages, their sizes and who imports whom, into docs/images/architecture.svg.

The rows are those of the import contract in pyproject.toml, the arrows are read from the source. Needs the `dev` extra.
A test draws it again and compares, so that the picture cannot be out of date.
"""

from __future__ import annotations

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
MARGIN = 24


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
    """Returns the picture as SVG. Arrows that another path implies are not drawn."""
    box_h, box_w = BOX_HW
    gap_h, gap_w = GAP_HW
    width = max(len(row) for row in structure.rows) * (box_w + gap_w) - gap_w + 2 * MARGIN
    height = len(structure.rows) * (box_h + gap_h) - gap_h + 2 * MARGIN
    corners: dict[str, tuple[float, float]] = {}
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
    for above, below in sorted(_without_shortcuts(structure.imports)):
        (x1, y1), (x2, y2) = corners[above], corners[below]
        start, end = (x1 + box_w / 2, y1 + box_h), (x2 + box_w / 2, y2 - 1)
        bend = (end[1] - start[1]) / 2
        parts.append(
            f'<path d="M{start[0]:.0f} {start[1]:.0f}C{start[0]:.0f} {start[1] + bend:.0f} '
            f'{end[0]:.0f} {end[1] - bend:.0f} {end[0]:.0f} {end[1]:.0f}" fill="none" stroke="#b4bfd3" '
            'stroke-width="1.4" marker-end="url(#tip)"/>'
        )
    for subpackage, (x, y) in corners.items():
        share = 100 * structure.lines[subpackage] / total
        parts.append(
            f'<rect x="{x:.0f}" y="{y}" width="{box_w}" height="{box_h}" rx="7" fill="#eef2fb" stroke="#5369a5"/>'
            f'<text x="{x + box_w / 2:.0f}" y="{y + 23}" text-anchor="middle" font-size="16" font-weight="600" '
            f'fill="#22304f">{subpackage}</text>'
            f'<text x="{x + box_w / 2:.0f}" y="{y + 41}" text-anchor="middle" font-size="12" fill="#5a6782">'
            f"{share:.0f} % of the lines</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


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
