# What type checkers and editors see of `__init__.py`: the names of its table `_MODULES`. A test compares the two.

from rapidseg.core.errors import RapidSegError as RapidSegError
from rapidseg.core.labels import LabelSet as LabelSet
from rapidseg.core.spec import ModelSpec as ModelSpec
from rapidseg.data import open_dataset as open_dataset
from rapidseg.runtime import Result as Result
from rapidseg.runtime import Segmenter as Segmenter
from rapidseg.workflows.load import load as load
from rapidseg.workflows.predict import predict as predict

__version__: str
