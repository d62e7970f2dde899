"""Model files as people hand them over: by name, broken, foreign, cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import rapidseg
from rapidseg.core.errors import ModelFileError
from rapidseg.core.labels import LabelSet
from rapidseg.core.spec import SPEC_KEY
from rapidseg.runtime.model_file import find_model, read_spec
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx


def test_spec_comes_back(tmp_path: Path) -> None:
    labels = LabelSet(names=("Straße", "空"), palette=((1, 2, 3), (4, 5, 6)), ignore_index=9)
    spec = tiny_spec(labels, align_corners=True, input_short_side=96, license="CC0-1.0")
    assert read_spec(write_tiny_onnx(tmp_path / "tiny.onnx", spec)) == spec


def test_cut_files_are_named(tmp_path: Path) -> None:
    content = write_tiny_onnx(tmp_path / "tiny.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    for kept in [0, 1, 2, 100, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:kept])
        with pytest.raises(ModelFileError, match=r"cut\.onnx is not an ONNX file, or was cut off"):
            read_spec(path)


@pytest.mark.parametrize("content", [b"hello, I am no model", b"\x00" * 50, b"\xff" * 50, b"\x80\x04\x95", b"\x08\x07"])
def test_files_of_other_kinds_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.onnx").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"other\.onnx is not an ONNX file, or was cut off"):
        read_spec(tmp_path / "other.onnx")


def test_a_file_without_specification(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "bare.onnx", with_spec=False)
    with pytest.raises(ModelFileError, match=r"bare\.onnx has no model specification .* `rapidseg export` wrote"):
        rapidseg.load(path)


def test_a_specification_that_is_not_valid(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "odd.onnx")
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {SPEC_KEY: '{"architecture": "tiny"}'})
    onnx.save(model, str(path))
    with pytest.raises(
        ModelFileError, match=r"odd\.onnx: its model specification is not valid: the key 'labels' is missing"
    ):
        rapidseg.load(path)


def test_checkpoints_have_no_onnx_metadata(tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").touch()
    with pytest.raises(ModelFileError, match=r"is a checkpoint, not a model file; .*rapidseg export .*best\.s"):
        read_spec(tmp_path / "best.safetensors")


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"absent\.onnx is neither a file nor the name of a model"):
        find_model(tmp_path / "absent.onnx")
    with pytest.raises(ModelFileError, match="did you mean 'fast-scnn-camvid'"):
        find_model("fastscnn-camvid")
    with pytest.raises(ModelFileError, match=r"is a folder; it contains no file that ends in \.onnx"):
        find_model(tmp_path)


def test_names_of_built_in_models() -> None:
    assert find_model(None) == find_model("fast-scnn-camvid")
    assert find_model(None).name == "fast-scnn-camvid.onnx"


def test_other_inputs_and_outputs(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "renamed.onnx")
    model = onnx.load(str(path))
    model.graph.input[0].name = model.graph.node[0].input[0] = "picture"
    onnx.save(model, str(path))
    for engine in ("openvino", "onnxruntime"):
        with pytest.raises(ModelFileError, match="has the inputs picture and the outputs logits, but a model file has"):
            rapidseg.load(path, engine=engine)


def test_a_graph_that_no_engine_can_run(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "broken.onnx")
    model = onnx.load(str(path))
    model.graph.node[0].op_type = "Nonsense"
    onnx.save(model, str(path))
    for engine in ("openvino", "onnxruntime"):
        with pytest.raises(ModelFileError, match=r"broken\.onnx: .* cannot read it: .*; export the model again"):
            rapidseg.load(path, engine=engine)


def test_a_specification_of_other_classes(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "odd.onnx")
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {SPEC_KEY: tiny_spec(LabelSet.generic(5)).to_json()})
    onnx.save(model, str(path))
    with pytest.raises(ModelFileError, match=r"outputs 11 classes, but its specification names 5; export it"):
        rapidseg.load(path)(np.zeros((64, 64, 3), np.uint8))
