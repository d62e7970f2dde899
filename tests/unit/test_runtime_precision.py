"""In which precision a model file runs, and how the engine explains it."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

import rapidseg
from rapidseg.core.errors import EngineError
from rapidseg.core.spec import ModelSpec
from rapidseg.runtime.engines import choose_precision
from rapidseg.runtime.engines.openvino import openvino_computes_in_bf16
from tests.support.tiny_onnx import QUANTIZATION, tiny_spec, write_tiny_onnx


@pytest.mark.parametrize(
    ("changes", "requested", "native", "expected", "reason"),
    [
        (
            {"precisions": {"bf16": 0.9991}},
            "auto",
            ("bf16",),
            "bf16",
            "bf16, since bf16 agrees with float32 on 99.91 % of pixels (threshold 99.5 %)",
        ),
        (
            {"precisions": {"bf16": 0.995}},
            "auto",
            ("bf16",),
            "bf16",
            "bf16, since bf16 agrees with float32 on 99.50 % of pixels",
        ),
        (
            {"precisions": {"bf16": 0.9949}},
            "auto",
            ("bf16",),
            "float32",
            "float32, since bf16 agrees with float32 on only 99.49 % of pixels (threshold 99.5 %)",
        ),
        (
            {"precisions": {"bf16": 1.0}},
            "auto",
            (),
            "float32",
            "float32, since this engine and device have no faster precision",
        ),
        (
            {},
            "auto",
            ("bf16",),
            "float32",
            "float32, since the model file does not say how well bf16 agrees with float32",
        ),
        ({"precisions": {"bf16": 1.0}}, "float32", ("bf16",), "float32", "float32, as requested"),
        ({"precisions": {"bf16": 0.5}}, "bf16", ("bf16",), "bf16", "bf16, as requested"),
        (
            {"precisions": {"bf16": 0.998}, "quantization": QUANTIZATION},
            "auto",
            ("bf16",),
            "bf16",
            "int8 as in the model file, and bf16 for the other layers, since bf16 agrees with float32 on 99.80",
        ),
        (
            {"precisions": {"bf16": 1.0, "fp16": 0.9998}},
            "auto",
            ("fp16", "bf16"),
            "fp16",
            "fp16, since fp16 agrees with float32 on 99.98 % of",
        ),
        (
            {"precisions": {"bf16": 0.999, "fp16": 0.2}},
            "auto",
            ("fp16", "bf16"),
            "bf16",
            "bf16, since bf16 agrees with float32 on 99.90 % of pixels (threshold 99.5 %)",
        ),
        (
            {"precisions": {"bf16": 0.9}},
            "auto",
            ("fp16", "bf16"),
            "float32",
            "float32, since the model file does not say how well fp16 agrees with float32, and bf16 agrees with",
        ),
        (
            {"quantization": QUANTIZATION},
            "int8",
            ("bf16",),
            "float32",
            "int8 as in the model file, and float32 for the other layers, since ",
        ),
    ],
)
def test_auto_selects_the_fastest_precision_that_agrees_with_float32(changes, requested, native, expected, reason):
    precision, explanation = choose_precision(tiny_spec(**changes), requested, native=native)
    assert precision == expected
    assert explanation.startswith(reason)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_file_without_measured_precisions_runs_in_float32(engine, tmp_path):
    spec = json.loads(tiny_spec().to_json())
    del spec["precisions"], spec["quantization"]
    old = ModelSpec.from_json(json.dumps(spec), where="old")
    segmenter = rapidseg.load(write_tiny_onnx(tmp_path / "old.onnx", old), engine=engine)
    assert segmenter.engine.precision == "float32"
    assert "float32, since " in segmenter.engine.choice


def test_a_file_with_measured_precisions_runs_in_bf16_if_the_cpu_has_it(tmp_path):
    path = write_tiny_onnx(tmp_path / "model.onnx", tiny_spec(precisions={"bf16": 0.999}))
    engine = rapidseg.load(path).engine
    assert engine.precision == ("bf16" if openvino_computes_in_bf16("cpu") else "float32")
    assert engine.choice.startswith("OpenVINO, the fastest on CPUs; ")
    assert rapidseg.load(path, engine="onnxruntime").engine.precision == "float32"
    assert rapidseg.load(path, precision="float32").engine.precision == "float32"
    assert not openvino_computes_in_bf16("toaster")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_int8_needs_an_int8_model(engine, tmp_path):
    path = write_tiny_onnx(tmp_path / "model.onnx")
    with pytest.raises(
        EngineError, match=r"model\.onnx is not an INT8 model; create one with: rapidseg export .* --pr"
    ):
        rapidseg.load(path, engine=engine, precision="int8")


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_an_int8_model_runs_in_no_other_precision(precision, tmp_path):
    path = write_tiny_onnx(tmp_path / "model-int8.onnx", tiny_spec(quantization=QUANTIZATION))
    with pytest.raises(EngineError, match=rf"model-int8\.onnx is an INT8 model, which does not run in {precision}; "):
        rapidseg.load(path, precision=precision)


@pytest.mark.parametrize("changes", [{"precisions": {"bf16": 1.01}}, {"quantization": {"dataset": "camvid"}}])
def test_impossible_figures_are_rejected(changes):
    with pytest.raises(ValidationError):
        tiny_spec(**changes)
