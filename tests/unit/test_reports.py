"""Reports of workflows: each is a document for programs, and one short line where Python or a notebook shows it."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import rapidseg
import rapidseg.workflows
from rapidseg.cli.options.prediction import Kind
from rapidseg.core.choices import SaveKind
from rapidseg.core.errors import InputError
from rapidseg.core.progress import SILENT
from rapidseg.core.report import MAX_REPR, Report

pytest.importorskip("onnx")


def report_classes(base: type = Report) -> Iterator[type[Report]]:
    """Yields every class of reports that can be made."""
    for cls in base.__subclasses__():
        if not cls.__abstractmethods__:
            yield cls
        yield from report_classes(cls)


for module in pkgutil.iter_modules(rapidseg.workflows.__path__):
    importlib.import_module(f"rapidseg.workflows.{module.name}")
for name in ("training.training_report", "exporting", "benchmarking.benchmark_report", "data"):
    importlib.import_module(f"rapidseg.{name}")
CLASSES = sorted(
    {cls for cls in report_classes() if cls.__module__.startswith("rapidseg.")}, key=lambda cls: cls.__name__
)


def test_every_report_of_the_workflows_is_one() -> None:
    expected = """
        ArchitectureDetails BenchmarkReport BuiltIn CheckReport ComparisonReport Diagnosis EvaluationReport ExportReport
        ImportReport ModelCache ModelList PredictionReport PreparationReport PretrainingCheck PretrainingReport
        Published PushReport QuantizationReport RecipeDetails RunCheck
        RunReport ScenesReport SpecializationReport TrainingReport TuningReport
    """
    assert [cls.__name__ for cls in CLASSES] == sorted(expected.split())


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_report_prints_a_short_line(cls: type[Report], monkeypatch: pytest.MonkeyPatch) -> None:
    assert dataclasses.is_dataclass(cls)
    assert cls.__repr__ is Report.__repr__
    monkeypatch.setattr(cls, "headline", lambda self: "a fact\n" * 1000)
    text = repr(object.__new__(cls))
    assert text.startswith(f"<{cls.__name__} a fact a fact")
    assert text.endswith("...>")
    assert "\n" not in text
    assert len(text) <= MAX_REPR


def training_report(**fields: Any) -> Any:
    from rapidseg.training.training_report import TrainingReport

    score = {"iteration": 900, "mean_iou": 0.61234, "mean_accuracy": 0.7, "pixel_accuracy": 0.9}
    defaults = {
        "output": Path("runs/a"),
        "iterations": 1000,
        "seconds": 61.7,
        "images_per_s": 20.0,
        "best": score,
        "last": score,
        "best_weights": Path("runs/a/best.safetensors"),
        "last_weights": Path("runs/a/last.safetensors"),
    }
    return TrainingReport(**{**defaults, **fields})


def test_a_training_report_knows_the_weights_to_use() -> None:
    report = training_report(warnings=("x",))
    assert repr(report) == ("<TrainingReport 1000 iterations in 62 s, best mIoU 0.612 at 900; runs/a; 1 warning>")
    assert report.weights == Path("runs/a/best.safetensors")
    last = training_report(best=None, last=None, best_weights=None)
    assert last.weights == Path("runs/a/last.safetensors")
    with pytest.raises(InputError, match="a dry run writes no weights; train without dry_run=True"):
        _ = training_report(best_weights=None, last_weights=None).weights


def test_the_list_of_models_is_a_line_and_prints_as_a_table() -> None:
    models = rapidseg.list_models()
    assert repr(models).startswith("<ModelList 2 built-in, ")
    assert len(repr(models)) <= MAX_REPR
    assert "fast-scnn-camvid" in str(models)
    assert len(str(models).splitlines()) > 5


@pytest.mark.parametrize("name", ["fast-scnn", "fast-scnn-camvid", "fast-scnn-cityscapes", "cityscapes/fast-scnn"])
def test_details_print_their_name_first(name: str) -> None:
    details = rapidseg.show_model(name, input_size="64x96")
    assert repr(details).startswith(f"<{type(details).__name__} {name}: ")
    assert len(repr(details)) <= MAX_REPR


def test_a_diagnosis_says_whether_prediction_works() -> None:
    diagnosis = rapidseg.doctor()
    assert repr(diagnosis).startswith("<Diagnosis ok: fast-scnn-camvid.onnx runs in ")
    broken = dataclasses.replace(diagnosis, chosen="no such file")
    assert repr(broken).startswith("<Diagnosis prediction does not work: cannot load the model: no such file")


def test_scenes_and_checks_count_what_they_saw(tmp_path: Path) -> None:
    scenes = rapidseg.draw_scenes(tmp_path, 1, val_images=1, image_size="64x128", workers=1)
    assert repr(scenes).startswith("<ScenesReport 1 train, 1 val scenes of 64x128 in ")
    checked = rapidseg.check_data("cityscapes", root=tmp_path)
    assert repr(checked).startswith("<CheckReport cityscapes: 2 pairs, no errors, ")
    predicted = rapidseg.predict(tmp_path / "leftImg8bit" / "**" / "*.png", output=tmp_path / "out", save="class-map")
    assert repr(predicted).startswith("<PredictionReport 2 images segmented; ")
    assert list(predicted.folders) == ["class-map"]


def test_the_command_line_offers_every_kind_of_picture() -> None:
    assert [kind.value for kind in Kind] == list(get_args(SaveKind))


def test_signatures_show_a_short_default() -> None:
    assert repr(SILENT) == "SILENT"
