"""Reports of evaluations: the JSON document of a run, the comparison of two, and pages of both."""

from rapidseg.evaluation.report.comparison import Change, Comparison
from rapidseg.evaluation.report.evaluation_run import Run, make_run, read_run, run_document
from rapidseg.evaluation.report.pictures import ExtremeImages, SavedImages

__all__ = ["Change", "Comparison", "ExtremeImages", "Run", "SavedImages", "make_run", "read_run", "run_document"]
