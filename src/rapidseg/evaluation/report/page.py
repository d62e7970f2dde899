"""HTML pages of runs and comparisons. They are self-contained: no server, no network, no script."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from rapidseg import __version__
from rapidseg.core.files import write_text
from rapidseg.evaluation.report.comparison import Comparison
from rapidseg.evaluation.report.evaluation_run import Run
from rapidseg.evaluation.report.pictures import Row

_TEMPLATES = Path(__file__).parent / "templates"


def write_run_page(
    path: str | os.PathLike[str], run: Run, *, worst: Sequence[Row] = (), best: Sequence[Row] = ()
) -> None:
    """Writes the report of one run.

    Args:
        path: the HTML file, written completely or not at all.
        run: the run to report.
        worst, best: pictures of the images with the lowest and the highest mean IoU.

    Raises:
        RapidSegError: the file cannot be written.
    """
    shares = run.counts / np.maximum(run.counts.sum(axis=1, keepdims=True), 1)
    content = _environment().get_template("run.html.j2").render(run=run, shares=shares, worst=worst, best=best)
    write_text(path, content)


def write_comparison_page(
    path: str | os.PathLike[str],
    comparison: Comparison,
    *,
    num_images: int,
    lost: Sequence[Row] = (),
    gained: Sequence[Row] = (),
) -> None:
    """Writes the report of two runs.

    Args:
        path: the HTML file, written completely or not at all.
        comparison: the comparison to report.
        num_images: how many of the images that lost and gained most to list.
        lost, gained: pictures of the images that changed most.

    Raises:
        RapidSegError: the file cannot be written.
    """
    template = _environment().get_template("comparison.html.j2")
    write_text(path, template.render(comparison=comparison, num_images=num_images, lost=lost, gained=gained))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"score": _score, "change": _change, "percent": _percent, "color": _color}
    environment.globals |= {"version": __version__, "style": Markup((_TEMPLATES / "style.css").read_text("utf-8"))}
    return environment


def _score(value: float | None) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.3f}"


def _change(value: float) -> str:
    """Always with a sign, so that it can be read without color."""
    return "–" if np.isnan(value) else f"{value:+.3f}".replace("-", "−")


def _percent(value: float | None) -> str:
    """A length for the style sheet."""
    return "0%" if value is None or np.isnan(value) else f"{100 * value:.2f}%"


def _color(rgb: Sequence[int]) -> str:
    return f"rgb({rgb[0]} {rgb[1]} {rgb[2]})"
