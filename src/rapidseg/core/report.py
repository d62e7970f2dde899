"""`Report`: what every workflow returns."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

from rapidseg.core.wording import count_of

MAX_REPR = 200  # characters


class Report(abc.ABC):
    """The frozen result of a job: complete as a document, and short where Python or a notebook shows it."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Keeps `dataclass` from generating a `repr` of every field, which would fill pages."""
        super().__init_subclass__(**options)
        cls.__repr__ = Report.__repr__  # type: ignore[method-assign]

    @abc.abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""

    @abc.abstractmethod
    def headline(self) -> str:
        """Returns the facts that a reader wants first, in one short line."""

    def __repr__(self) -> str:
        """Returns the type and the headline, in one line of at most 200 characters."""
        text = f"<{type(self).__name__} {' '.join(self.headline().split())}"
        return f"{text}>" if len(text) < MAX_REPR else f"{text[: MAX_REPR - 4]}...>"


def with_warnings(headline: str, warnings: Sequence[object]) -> str:
    """Returns a headline that says how many warnings a report has, if any."""
    return f"{headline}; {count_of(warnings, 'warning')}" if warnings else headline
