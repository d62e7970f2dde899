"""Reports of evaluations: the JSON document of a run, the comparison of two, and pages of both."""

from rapidseg.evaluation.report.comparison import Change, Comparison
from rapidseg.evaluation.report.pictures import ExtremeImages, SavedImages
from rapidseg.evaluation.report.run import Run, make_run, read_run, run_document

__all__ = ["Change", "Comparison", "ExtremeImages", "Run", "SavedImages", "make_run", "read_run", "run_document"]
