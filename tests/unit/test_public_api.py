"""The public interface: names, signatures, and what importing the package costs."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import rapidseg
from rapidseg.runtime import Result, Segmenter

NAMES = """
    __version__
    load predict Segmenter Result
    train pretrain evaluate compare_runs export quantize import_checkpoint benchmark tune
    list_models show_model open_dataset check_data prepare_data draw_scenes doctor
    ModelSpec LabelSet RapidSegError
"""
TORCH_NAMES = ["SegmentationModel"]  # listed by `dir`, and not imported by `from rapidseg import *`

# `rapidseg.load` and so on: parameters and their defaults. A change here is a change for every user.
FUNCTIONS = {
    "load": "(model=None, *, engine='auto', precision='auto', device='auto', download=True, progress=DOWNLOADS)",
    "predict": "(images=None, *, model=None, output='predictions', save=('class-map', 'overlay'), input_size=None, "
    "engine='auto', precision='auto', device='auto', download=True, progress=DOWNLOADS)",
    "train": "(recipe=None, *, overrides=None, weights=None, iterations=None, output=None, device='auto', "
    "resume=False, dry_run=False, progress=DOWNLOADS)",
    "pretrain": "(recipe=None, *, root=None, feature_dim=None, m=None, temperature=None, momentum=None, k=None, "
    "batch_size=None, epochs=None, overrides=None, output=None, device='auto', resume=False, dry_run=False, "
    "progress=SILENT)",
    "evaluate": "(model=None, *, data, root=None, split='val', protocol='whole', crop=None, stride=None, scales=None, "
    "flip=None, input_size=None, subsample=1, class_mapping=None, engine='auto', precision='auto', "
    "device='auto', worst=5, save=None, submission=None, output=None, html=None, command=(), "
    "download=True, progress=DOWNLOADS)",
    "compare_runs": "(paths, *, images=5)",
    "export": "(model, output=None, *, precision='float32', static=None, output_kind='logits', data=None, root=None, "
    "split='train', val_split='val', "
    "calibration_images=100, max_drop=0.5, input_size=None, check_sizes=None, labels=None, options=None, "
    "progress=DOWNLOADS)",
    "quantize": "(model, output=None, *, data, root=None, split='train', val_split='val', calibration_images=100, "
    "max_drop=0.5, input_size=None, check_sizes=None, labels=None, options=None, progress=DOWNLOADS)",
    "import_checkpoint": "(source, output=None, *, labels=None, sha256=None, ema=None, options=None, "
    "progress=DOWNLOADS)",
    "benchmark": "(models=None, *, engines=None, precisions=None, image_sizes=((1024, 2048), (512, 1024)), "
    "device='auto', batch=1, image=None, rounds=5, seconds=0.5, data=None, root=None, split='val', class_mapping=None, "
    "baseline=None, checkpoint=None, output=None, download=True, progress=SILENT)",
    "tune": "(models=None, *, min_fps=None, min_miou=None, data=None, root=None, split='val', class_mapping=None, "
    "engines=None, precisions=None, input_sizes=None, image=None, image_size=None, device='auto', "
    "rounds=3, seconds=0.5, output=None, download=True, progress=SILENT)",
    "list_models": "()",
    "show_model": "(name, *, num_classes=19, input_size=(1024, 2048))",
    "open_dataset": "(name_or_path, root=None, split='train', labels=None)",
    "check_data": "(data, *, root=None, split=None, workers=None, progress=SILENT)",
    "prepare_data": "(data, root, *, labels=None, workers=None, overwrite=False, progress=SILENT)",
    "draw_scenes": "(output, images, *, val_images=None, seed=0, image_size=(1024, 2048), workers=None, "
    "progress=SILENT)",
    "doctor": "(model=None, *, clear_cache=False)",
}
METHODS = {
    (Segmenter, "__call__"): "(self, image, *, input_size=None, confidence=False, bgr=False)",
    (Segmenter, "batch"): "(self, images, *, input_size=None, confidence=False, bgr=False, max_batch=8, on_error=None)",
    (Segmenter, "stream"): "(self, source, *, input_size=None, confidence=False, bgr=False, on_error=None)",
    (Segmenter, "logits"): "(self, image)",
    (Segmenter, "class_map"): "(self, image)",
    (Segmenter, "from_model"): "(model, path=None)",
    (Result, "probabilities"): "(self, rows=None)",
    (Result, "iter_probabilities"): "(self, rows_at_a_time=64)",
    (Result, "mask"): "(self, name)",
    (Result, "polygons"): "(self, name)",
    (Result, "class_shares"): "(self)",
    (Result, "to_dict"): "(self)",
    (Result, "to_coco"): "(self, *, image_id=1, first_annotation_id=1)",
    (Result, "to_supervision"): "(self)",
    (Result, "overlay"): "(self, image=None, alpha=0.5)",
    (Result, "plot"): "(self, *, legend=True, alpha=0.5)",
    (Result, "show"): "(self)",
    (Result, "save"): "(self, path, kind='overlay')",
}
FIELDS = "class_map labels image input_size_hw timings_ms source confidence logits align_corners"

PACKAGE = Path(rapidseg.__file__).parent
MODULES = rapidseg.PUBLIC_NAMES


MAY_IMPORT_TORCH = (
    "train",
    "pretrain",
    "export",
    "quantize",
    "import_checkpoint",
    *TORCH_NAMES,
)  # their modules may import PyTorch at once


def signature(function: object) -> str:
    """Returns the parameters and defaults without annotations, which a type checker checks."""
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        parameters.append(parameter.replace(annotation=inspect.Parameter.empty))
    return str(inspect.Signature(parameters))


def test_names() -> None:
    assert sorted(rapidseg.__all__) == sorted(NAMES.split())
    assert {*NAMES.split(), *TORCH_NAMES} <= set(dir(rapidseg))
    assert [name for name in dir(rapidseg) if not name.startswith("__")] == sorted(MODULES)
    with pytest.raises(AttributeError, match="module 'rapidseg' has no attribute 'laod'"):
        rapidseg.laod  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_every_name_is_there_and_documented(name: str) -> None:
    value = getattr(rapidseg, name)
    assert value is getattr(importlib.import_module(MODULES[name]), name)
    assert not isinstance(value, ModuleType)
    assert inspect.getdoc(value)


@pytest.mark.parametrize("name", MODULES)
def test_signatures_of_functions(name: str) -> None:
    value = getattr(rapidseg, name)
    if inspect.isfunction(value):
        assert name in FUNCTIONS, f"record the signature in FUNCTIONS: {signature(value)}"
        assert signature(value) == FUNCTIONS[name]


@pytest.mark.parametrize(("owner", "name"), METHODS, ids=lambda value: getattr(value, "__name__", value))
def test_signatures_of_methods(owner: type, name: str) -> None:
    assert signature(getattr(owner, name)) == METHODS[owner, name]


def test_methods_and_fields_are_all_recorded() -> None:
    for owner in (Segmenter, Result):
        public = {name for name, value in vars(owner).items() if callable(value) or isinstance(value, classmethod)}
        recorded = {name for some_owner, name in METHODS if some_owner is owner}
        assert {name for name in public if not name.startswith("_")} <= recorded
    assert list(Result.__dataclass_fields__) == FIELDS.split()


def test_type_checkers_and_editors_see_the_same_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text())
    stubs = {
        alias.asname: node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    missing = [f"from {MODULES[name]} import {name} as {name}" for name in MODULES if name not in stubs]
    assert not missing, "add to __init__.pyi:\n" + "\n".join(missing)
    assert stubs == MODULES


def test_mypy_knows_the_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    snippet = tmp_path / "snippet.py"
    snippet.write_text(
        "import rapidseg\n"
        "from rapidseg import Result, Segmenter, load\n"
        "segmenter: Segmenter = rapidseg.load()\n"
        "result: Result = segmenter('photo.jpg')\n"
        "results: list[Result] = load().batch([b'', 'photo.jpg'], bgr=True)\n"
        "rapidseg.load(engin='openvino')\n"
        "result.save('out.png', kind='overlays')\n"
        "rapidseg.laod()\n" + "".join(f"reveal_type(rapidseg.{name})\n" for name in MODULES),
    )
    command = [sys.executable, "-m", "mypy", "--config-file", "", "--follow-imports", "silent", "--python-version"]
    options = ["3.10", "--ignore-missing-imports", "--cache-dir", str(tmp_path / "cache"), str(snippet)]
    run = subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=tmp_path)
    lines = run.stdout.splitlines()
    errors = [line for line in lines if " error: " in line]
    assert [line.split(":")[1] for line in errors] == ["6", "7", "8"], run.stdout
    assert 'Unexpected keyword argument "engin"' in errors[0]
    assert 'expected "Literal' in errors[1]
    assert 'Module has no attribute "laod"' in errors[2]
    revealed = [line for line in lines if "Revealed type" in line]
    assert len(revealed) == len(MODULES)
    assert not [line for line in revealed if 'is "Any"' in line]


def test_mypy_takes_the_reports_of_one_function_to_the_next(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    snippet = tmp_path / "snippet.py"
    snippet.write_text(
        "import rapidseg\n"
        "run = rapidseg.train('camvid/fast-scnn', output='runs/a', device='cuda')\n"
        "rapidseg.evaluate(run.weights, data='my.yaml', protocol='sliding', crop='64x64', input_size=64)\n"
        "rapidseg.export(run.weights, 'best.onnx', precision='int8', check_sizes='64x64')\n"
        "rapidseg.predict('photo.jpg', save='overlay', engine='openvino', input_size=(64, 96))\n"
        "rapidseg.load(engine='opnvino')\n"
        "rapidseg.load(precision='float16')\n"
        "rapidseg.train(device='gpu')\n"
        "rapidseg.predict(save='overlays')\n"
        "rapidseg.evaluate(data='my.yaml', protocol='window')\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", "", "--follow-imports", "silent", "--python-version"]
    options = ["3.10", "--ignore-missing-imports", "--cache-dir", str(tmp_path / "cache"), str(snippet)]
    run = subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=tmp_path)
    errors = [line for line in run.stdout.splitlines() if " error: " in line]
    assert [line.split(":")[1] for line in errors] == ["6", "7", "8", "9", "10"], run.stdout


def test_a_name_that_needs_torch_names_the_extra_without_it() -> None:
    code = (
        "import sys, importlib.util as util; find = util.find_spec; sys.modules['torch'] = None\n"
        "util.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n"
        "import rapidseg; assert 'SegmentationModel' not in dir(rapidseg)\n"
        "try:\n    rapidseg.SegmentationModel\n"
        "except rapidseg.RapidSegError as error:\n    print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("torch is not installed; run in the clone of RapidSeg: pip install"), run.stdout
    assert "[export]" in run.stdout


def test_importing_loads_nothing() -> None:
    heavy = ("numpy", "torch", "openvino", "onnxruntime", "numba", "cv2", "PIL", "yaml", "pydantic", "typer")
    code = f"import sys, rapidseg; dir(rapidseg); print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [name for name in MODULES if name not in MAY_IMPORT_TORCH])
def test_the_torch_free_half_imports_no_torch(name: str) -> None:
    code = f"import sys, rapidseg; rapidseg.{name}; print([n for n in ('torch', 'onnx', 'typer') if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
