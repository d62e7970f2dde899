"""The errors that RapidSeg raises on purpose.

    RapidSegError                 base class: a problem that the user can fix; printed without a traceback
    |-- InputError (ValueError)   invalid argument, image or array
    |   |-- ImageError            image file that cannot be read or has an unsupported pixel format
    |   |-- DatasetError          data set with missing files or invalid labels
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


def nearest_hint(word: object, allowed: "list[str] | tuple[str, ...]") -> str:
    """Returns `; did you mean 'x'?` for the allowed word nearest to `word`, or an empty string if none is near."""
    nearest = nearest_word(word, allowed)
    return "" if nearest is None else f"; did you mean {nearest!r}?"


def nearest_word(word: object, allowed: "list[str] | tuple[str, ...]") -> "str | None":
    """Returns the allowed word that is nearest to `word`, or None if none is near or `word` is not text."""
    from difflib import get_close_matches

    if not isinstance(word, str):
        return None

    return next(iter(get_close_matches(word, list(allowed), n=1, cutoff=0.5)), None)
