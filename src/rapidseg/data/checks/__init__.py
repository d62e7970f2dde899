"""Reads every file of a data set before training does, and reports mistakes with advice.

- `checking`: `check_dataset`, which reads the files and collects what is wrong.
- `check_report`: `CheckReport`, the result.
- `diagnostics`: recognizes common mistakes with masks, such as label ids instead of train ids. The error messages of
  data sets use it as well.
"""

from __future__ import annotations

from rapidseg.data.checks.check_report import CheckReport, FileFinding, Finding, SplitReport
from rapidseg.data.checks.checking import check_dataset

__all__ = ["CheckReport", "FileFinding", "Finding", "SplitReport", "check_dataset"]
