# What type checkers and editors see of `__init__.py`: the names of its table `PUBLIC_NAMES`. A test compares the two.

from rapidseg.core.errors import RapidSegError as RapidSegError
from rapidseg.core.labels import LabelSet as LabelSet
from rapidseg.core.spec import ModelSpec as ModelSpec
from rapidseg.data import open_dataset as open_dataset
from rapidseg.models import SegmentationModel as SegmentationModel
from rapidseg.runtime import Result as Result
from rapidseg.runtime import Segmenter as Segmenter
from rapidseg.workflows.benchmark import benchmark as benchmark
from rapidseg.workflows.data import check_data as check_data
from rapidseg.workflows.data import draw_scenes as draw_scenes
from rapidseg.workflows.data import prepare_data as prepare_data
from rapidseg.workflows.doctor import doctor as doctor
from rapidseg.workflows.evaluate import evaluate as evaluate
from rapidseg.workflows.export import export as export
from rapidseg.workflows.import_checkpoint import import_checkpoint as import_checkpoint
from rapidseg.workflows.load import load as load
from rapidseg.workflows.models import list_models as list_models
from rapidseg.workflows.models import show_model as show_model
from rapidseg.workflows.predict import predict as predict
from rapidseg.workflows.pretrain import pretrain as pretrain
from rapidseg.workflows.quantize import quantize as quantize
from rapidseg.workflows.report import compare_runs as compare_runs
from rapidseg.workflows.train import train as train
from rapidseg.workflows.tune import tune as tune

PUBLIC_NAMES: dict[str, str]
__version__: str
