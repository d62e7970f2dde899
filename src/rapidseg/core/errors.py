"""The errors that RapidSeg raises on purpose.

    RapidSegError                 base class: a problem that the user can fix; printed without a traceback
    |-- InputError (ValueError)   invalid argument, image or array
    |   |-- ImageError            image file that cannot be read or has an unsupported pixel format
    |   |-- DatasetError          data set with missing files or invalid labels
    |   |   `-- SplitError        split that a data set does not have
    |   `-- ConfigError           invalid recipe, override or data-set description
    |-- DependencyError           package that is not installed, or that is installed but cannot be imported
    |-- ModelFileError            checkpoint or model file that is damaged, unsupported or has no specification
    |-- EngineError               engine that is not installed, or device that is not available
    |-- ExportError               exported file whose outputs differ from the model's
    `-- TrainingError             training that cannot continue, for example because the loss is NaN

A message says what was given, what is allowed, and what to do next.
"""


class RapidSegError(Exception):
    """Base class of all errors that the user can fix."""


class InputError(RapidSegError, ValueError):
    """An argument, an image or an array is not valid."""


class ImageError(InputError):
    """An image file cannot be read, or has an unsupported pixel format."""


class DatasetError(InputError):
    """A data set has missing files, or labels that would make training or scoring wrong."""


class SplitError(DatasetError):
    """A data set does not have a split.

    Attributes:
        available: the names of its splits.
    """

    def __init__(self, message: str, available: "tuple[str, ...]" = ()) -> None:
        super().__init__(message)
        self.available = available


class ConfigError(InputError):
    """A recipe, an override or a data-set description is not valid."""


class DependencyError(RapidSegError):
    """A package that RapidSeg needs is not installed, or is installed but cannot be imported.

    Attributes:
        package: the name to import; empty where the message names several packages.
    """

    def __init__(self, message: str, package: str = "") -> None:
        super().__init__(message)
        self.package = package


class ModelFileError(RapidSegError):
    """A checkpoint or model file is damaged, has an unsupported layout, or has no specification."""


class EngineError(RapidSegError):
    """An inference engine is not installed, or the requested device is not available."""


class ExportError(RapidSegError):
    """The outputs of an exported file differ from the model's."""


class TrainingError(RapidSegError):
    """Training cannot continue."""


_SIGINT = 2  # a number, so that this module imports nothing


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended a job that had finished a part of its work; the message says which part.

    Attributes:
        signal_number: of the signal.
    """

    def __init__(self, message: str, signal_number: int = _SIGINT) -> None:
        super().__init__(message)
        self.signal_number = signal_number


def nearest_hint(
    word: object, allowed: "list[str] | tuple[str, ...]", *, max_words: int = 1, cutoff: float = 0.5
) -> str:
    """Returns ` (did you mean 'x'?)` for the allowed words nearest to `word`, or an empty string if none is near."""
    return did_you_mean(*nearest_words(word, allowed, max_words=max_words, cutoff=cutoff))


def nearest_words(
    word: object, allowed: "list[str] | tuple[str, ...]", *, max_words: int = 1, cutoff: float = 0.5
) -> "list[str]":
    """Returns the allowed words nearest to `word`, the nearest first; none if none is near or `word` is not text.

    A word that is written in another case, such as FAST-SCNN, is near.
    """
    from difflib import get_close_matches

    if not isinstance(word, str):
        return []
    words = list(allowed)
    found = get_close_matches(word, words, n=max_words, cutoff=cutoff)
    if found:
        return found
    by_case = {name.casefold(): name for name in words}
    return [by_case[name] for name in get_close_matches(word.casefold(), by_case, n=max_words, cutoff=cutoff)]


def did_you_mean(*words: str) -> str:
    """Returns ` (did you mean 'x' or 'y'?)`, in brackets so that a sentence can go on behind it; '' without words."""
    return f" (did you mean {' or '.join(map(repr, words))}?)" if words else ""
