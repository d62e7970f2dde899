"""`compare_runs` and `open_run`: reports of evaluations that were saved before."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapidseg.core.arguments import as_paths, check_path
from rapidseg.core.errors import InputError
from rapidseg.core.extras import require_extra
from rapidseg.core.files import check_output_file
from rapidseg.core.report import Report, with_warnings
from rapidseg.workflows.arguments import checked, integer

if TYPE_CHECKING:
    from rapidseg.evaluation.report import Change, Comparison, Run, SavedImages

DEFAULT_PAGE = Path("report.html")
_PAGE_MARK = b"<footer>Written by rapidseg "  # in every page


@dataclass(frozen=True, eq=False)
class RunReport(Report):
    """A saved evaluation, to be shown as a page.

    Attributes:
        run: the settings, the confusion matrix and the scores of each image.
        num_images: how many of the worst and of the best images the page shows.
    """

    run: Run
    num_images: int

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings and mean scores for JSON."""
        scores = self.run.scores.to_dict(self.run.labels.names)
        return {**self.run.model_dump(mode="json", exclude={"confusion_matrix", "images", "labels"}), **scores}

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Writes a self-contained HTML page.

        It shows pictures if the run saved its predictions (`save`) and data set and predictions are still there.

        Returns:
            The file.

        Raises:
            InputError: the name of the file does not end in .html.
            RapidSegError: it cannot be written.
        """
        file = check_output_file(path, (".html", ".htm"))
        require_extra("report", "jinja2")
        from rapidseg.evaluation.report import SavedImages, page

        pictures = SavedImages({"prediction": self.run})
        worst, best = (
            pictures.rows({image.name: f"mIoU {image.mean_iou:.3f}" for image in images})
            for images in (self.run.worst(self.num_images), self.run.best(self.num_images))
        )
        page.write_run_page(file, self.run, worst=worst, best=best)
        return file

    def headline(self) -> str:
        return with_warnings(f"{self.run.title}: mIoU {self.run.scores.mean_iou:.3f}", self.run.warnings)


@dataclass(frozen=True, eq=False)
class ComparisonReport(Report):
    """What changed from run A to run B on the same data.

    Attributes:
        comparison: both runs, score by score.
        num_images: how many of the images that lost and that gained most are listed.
    """

    comparison: Comparison
    num_images: int

    @property
    def first(self) -> Run:
        """Run A."""
        return self.comparison.first

    @property
    def second(self) -> Run:
        """Run B."""
        return self.comparison.second

    @property
    def means(self) -> list[Change]:
        """Changes of mIoU, mean accuracy and pixel accuracy."""
        return self.comparison.means

    @property
    def classes(self) -> list[Change]:
        """Changes of each class's IoU."""
        return self.comparison.classes

    @property
    def lost(self) -> list[Change]:
        """The images that got worse, the largest loss of mIoU first."""
        return self.comparison.lost(self.num_images)

    @property
    def gained(self) -> list[Change]:
        """The images that got better, the largest gain of mIoU first."""
        return self.comparison.gained(self.num_images)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of both runs."""
        runs = (("A", self.first), ("B", self.second))
        return tuple(f"{letter}: {warning}" for letter, run in runs for warning in run.warnings)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON, with None where a score is not defined."""
        return self.comparison.to_dict(self.num_images)

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Writes a self-contained HTML page.

        It shows pictures if the runs saved their predictions (`save`) and data set and predictions are still there.

        Returns:
            The file.

        Raises:
            InputError: the name of the file does not end in .html.
            RapidSegError: it cannot be written.
        """
        file = check_output_file(path, (".html", ".htm"))
        require_extra("report", "jinja2")
        from rapidseg.evaluation.report import SavedImages, page

        pictures = SavedImages({"prediction of A": self.first, "prediction of B": self.second})
        page.write_comparison_page(
            file,
            self.comparison,
            num_images=self.num_images,
            lost=_rows(pictures, self.lost),
            gained=_rows(pictures, self.gained),
        )
        return file

    def headline(self) -> str:
        return with_warnings(f"{self.means[0]}; A: {self.first.title}, B: {self.second.title}", self.warnings)


@checked(paths=as_paths, images=integer(0))
def compare_runs(paths: Iterable[str | os.PathLike[str]], *, images: int = 5) -> ComparisonReport:
    """Compares two evaluations on the same data.

    Args:
        paths: two JSON documents that `EvaluationReport.save` or `rapidseg eval --output` wrote, A and B.
        images: how many of the images that lost and that gained most to list.

    Raises:
        InputError: there are not two documents, a document cannot be read, or the runs differ in their data.
    """
    from rapidseg.evaluation.report import Comparison, read_run

    paths = as_paths("paths", paths)
    if len(paths) != 2:
        raise InputError(f"a comparison needs two documents, not {len(paths)}; pass those of run A and run B")
    first, second = map(read_run, paths)
    return ComparisonReport(Comparison(first, second), images)


@checked(path=check_path, images=integer(0))
def open_run(path: str | os.PathLike[str], *, images: int = 5) -> RunReport:
    """Reads an evaluation that was saved, to show it as a page.

    Args:
        path: JSON document that `EvaluationReport.save` or `rapidseg eval --output` wrote.
        images: how many of the worst and of the best images to show.

    Raises:
        InputError: the document cannot be read.
    """
    from rapidseg.evaluation.report import read_run

    return RunReport(read_run(path), images)


def default_page() -> Path:
    """Returns the name of a page whose name nobody passed: `report.html` in the current folder.

    Raises:
        InputError: a file of that name exists that is not such a page.
    """
    if DEFAULT_PAGE.is_file() and _PAGE_MARK not in DEFAULT_PAGE.read_bytes():
        raise InputError(
            f"{DEFAULT_PAGE} exists and was not written by RapidSeg; choose the name of the page: --output FILE"
        )
    return DEFAULT_PAGE


def _rows(pictures: SavedImages, changes: list[Change]) -> Any:
    return pictures.rows({change.name: str(change) for change in changes})
