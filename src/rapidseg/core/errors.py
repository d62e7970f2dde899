"""The errors that RapidSeg raises on purpose.

    RapidSegError                 anything a user can put right; the command line prints it without a traceback
    |-- InputError (ValueError)   an argument, an image or an array that is not what is allowed
    |   |-- ImageError            an image file that cannot be read or has an unsupported layout
    |   |-- DatasetError          a data set whose files or values would make training or scoring wrong
    |   `-- ConfigError           a recipe, an override or a data-set description that does not validate
    |-- ModelFileError            a checkpoint or model file that is broken, unknown or lacks its specification
    |-- EngineError               an engine that is not installed, or a device that is not there
    |-- ExportError               an exported file that does not compute what the model computes
    `-- TrainingError             a run that cannot go on, such as one whose loss is no longer a number

A message says what came, what is allowed, and what to do next.
"""


class RapidSegError(Exception):
    """Base of every error that a user can put right."""


class InputError(RapidSegError, ValueError):
    """An argument, an image or an array is not what is allowed."""


class ImageError(InputError):
    """An image file cannot be read, or has a layout that is not supported."""


class DatasetError(InputError):
    """Files or values of a data set would make training or scoring wrong."""


class ConfigError(InputError):
    """A recipe, an override or a data-set description does not validate."""


class ModelFileError(RapidSegError):
    """A checkpoint or model file is broken, of an unknown layout, or lacks its specification."""


class EngineError(RapidSegError):
    """An inference engine is not installed, or the device asked for is not there."""


class ExportError(RapidSegError):
    """An exported file does not compute what the model computes."""


class TrainingError(RapidSegError):
    """A training run cannot go on."""


def nearest_hint(word: str, allowed: "list[str] | tuple[str, ...]") -> str:
    """Returns `; did you mean 'x'?` for the allowed word nearest to `word`, or an empty string if none is near."""
    from difflib import get_close_matches

    matches = get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""
