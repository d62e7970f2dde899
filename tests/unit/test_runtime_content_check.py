"""Model files that were damaged or changed after they were made: each is refused, or segments as before."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

import rapidseg
from rapidseg.core.errors import EngineError, ModelFileError
from rapidseg.core.spec import SPEC_KEY
from rapidseg.importing import recognize_checkpoint
from rapidseg.importing.model_building import build_model_file
from rapidseg.runtime.content_check import CHECKSUM_KEY, write_checksum
from rapidseg.runtime.engines.engine import explain_failure
from rapidseg.runtime.model_file import BUILT_IN_MODELS, find_model, read_metadata, read_spec
from tests.support.published import published_state
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx

DAMAGED = r"is damaged, or was changed after it was made: its checksum .*; download or copy the file again"


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A model file with a checksum."""
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    write_checksum(path)
    return path


@pytest.mark.parametrize("name", BUILT_IN_MODELS)
def test_built_in_files_have_a_checksum(name: str) -> None:
    assert CHECKSUM_KEY in read_metadata(find_model(name).read_bytes())


def test_a_file_with_a_checksum_is_read(sealed: Path) -> None:
    assert read_spec(sealed) == tiny_spec()


def test_no_changed_byte_is_accepted(sealed: Path) -> None:
    """Changes that are accepted would have to be in metadata of others, of which this file has `other: entry`."""
    content, chance = sealed.read_bytes(), random.Random(0)
    other = range(content.index(b"other") - 4, content.index(b"entry") + 5)
    checksum_key = content.index(CHECKSUM_KEY.encode())
    places = [chance.randrange(len(content)) for _ in range(300)]
    for place in places:
        if place in other or checksum_key - 4 <= place < checksum_key + len(CHECKSUM_KEY):
            continue
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        sealed.write_bytes(changed)
        with pytest.raises(ModelFileError):
            read_spec(sealed)


def test_zeroed_weights_are_found(sealed: Path) -> None:
    content = bytearray(sealed.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    sealed.write_bytes(content)
    for engine in ("openvino", "onnxruntime", "torch"):
        with pytest.raises(ModelFileError, match=DAMAGED):
            rapidseg.load(sealed, engine=engine)


def test_entries_of_other_programs_may_be_added(sealed: Path) -> None:
    model = onnx.load(str(sealed))
    entry = model.metadata_props.add()
    entry.key, entry.value = "note", "ours"
    onnx.save(model, str(sealed))
    assert read_spec(sealed) == tiny_spec()


def test_a_changed_specification_is_found(sealed: Path) -> None:
    model = onnx.load(str(sealed))
    (entry,) = (entry for entry in model.metadata_props if entry.key == SPEC_KEY)
    entry.value = tiny_spec(align_corners=True).to_json()
    onnx.save(model, str(sealed))
    with pytest.raises(ModelFileError, match=DAMAGED):
        read_spec(sealed)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_found_without_a_checksum(tmp_path: Path, value: float) -> None:
    path = write_tiny_onnx(tmp_path / "old.onnx")
    model = onnx.load(str(path))
    (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == "weights")
    weights = numpy_helper.to_array(tensor).copy()
    weights[3, 1, 2, 2] = value
    tensor.CopyFrom(numpy_helper.from_array(weights, "weights"))
    onnx.save(model, str(path))
    with pytest.raises(ModelFileError, match=r"old\.onnx has NaN or infinite values in 1 of its tensors.*'weights'"):
        read_spec(path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "new.onnx")
    model = onnx.load(str(path))
    (entry,) = (entry for entry in model.metadata_props if entry.key == SPEC_KEY)
    entry.value = entry.value.replace('"format_version":1', '"format_version":99,"unheard_of":true')
    onnx.save(model, str(path))
    with pytest.raises(ModelFileError, match=r"has format_version 99, and this version of rapidseg reads 1; update"):
        read_spec(path)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_names_that_are_not_utf8_are_refused_or_do_not_matter(tmp_path: Path, engine: str) -> None:
    path = write_tiny_onnx(tmp_path / "broken.onnx")
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content, expected = path.read_bytes(), rapidseg.load(path, engine=engine)(image).class_map
    refused = []
    for name in (b"Conv", b"normalized", b"weights", b"tiny"):
        path.write_bytes(content.replace(name, b"\xff" + name[1:]))
        try:
            class_map = rapidseg.load(path, engine=engine)(image).class_map
        except (ModelFileError, EngineError):
            refused.append(name)
        else:
            assert np.array_equal(class_map, expected), name
    assert b"Conv" in refused


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_errors_while_running_are_explained(tmp_path: Path, engine: str) -> None:
    """A reshape of 7 elements fits no image, which shows only when it runs."""
    path = write_tiny_onnx(tmp_path / "odd.onnx")
    model = onnx.load(str(path))
    model.graph.node[-1].output[0] = "scores"
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 11, 7, 1]), "shape"))
    model.graph.node.append(onnx.helper.make_node("Reshape", ["scores", "shape"], ["logits"]))
    onnx.save(model, str(path))
    with pytest.raises((ModelFileError, EngineError), match=r"odd\.onnx.*(export the model again|with this version)"):
        rapidseg.load(path, engine=engine)(np.zeros((64, 64, 3), np.uint8))


def test_reasons_of_libraries_are_one_printable_line() -> None:
    with pytest.raises(EngineError) as caught, explain_failure(EngineError, "it failed", "do this"):
        raise RuntimeError("in src/core.cpp:12\nbad name \x1b[31m\x00" + "x" * 900)
    assert str(caught.value).startswith(r"it failed: bad name \x1b[31m\x00xxx")
    assert str(caught.value).endswith("x...; do this")
    assert len(str(caught.value)) < 400


def test_files_made_of_a_template_have_a_checksum(tmp_path: Path) -> None:
    torch.save(published_state("tramac"), tmp_path / "model.pth")
    found = recognize_checkpoint(tmp_path / "model.pth", labels="cityscapes", note=lambda _: None)
    spec = build_model_file(found, tmp_path / "model.onnx")
    assert CHECKSUM_KEY in read_metadata((tmp_path / "model.onnx").read_bytes())
    assert read_spec(tmp_path / "model.onnx") == spec
