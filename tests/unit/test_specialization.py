"""Static files and files that return class maps: what they return, where they run, and what is refused."""

from __future__ import annotations

import json
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import rapidseg
from rapidseg.core.errors import ExportError, InputError, ModelFileError
from rapidseg.core.labels import LabelSet
from rapidseg.core.model_card import model_card
from rapidseg.evaluation import InputScaling, WholeImage
from rapidseg.exporting import SpecializationReport, specialization, specialize_onnx, specialized_verification
from rapidseg.exporting.static_graph import make_static
from rapidseg.imaging import read_image, resize_image
from rapidseg.runtime import load
from rapidseg.runtime.content_check import CHECKSUM_KEY
from rapidseg.runtime.model_file import SAMPLE_IMAGE, find_model, read_metadata, read_spec
from rapidseg.workflows.push import _read_model
from tests.support.block_scenes import write_block_scenes
from tests.support.tiny_onnx import tiny_spec, write_tiny_onnx

SIZE = (97, 161)  # odd, and divided by no stride
EXAMPLES = Path(__file__).parents[2] / "examples" / "onnx"


@pytest.fixture(scope="module")
def source() -> Path:
    return find_model("fast-scnn-camvid")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return read_image(SAMPLE_IMAGE)


@pytest.fixture(scope="module")
def static(source: Path, tmp_path_factory: pytest.TempPathFactory) -> SpecializationReport:
    """The built-in model for images of `SIZE`."""
    return specialize_onnx(source, tmp_path_factory.mktemp("static") / "static.onnx", static_size=SIZE)


@pytest.fixture(scope="module")
def class_maps(source: Path, tmp_path_factory: pytest.TempPathFactory) -> SpecializationReport:
    """The built-in model that returns class maps of `SIZE`."""
    path = tmp_path_factory.mktemp("class_maps") / "class-maps.onnx"
    return specialize_onnx(source, path, static_size=SIZE, output="class-map")


def dims(value: onnx.ValueInfoProto) -> list[int | str]:
    return [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]


def test_a_static_file_has_fixed_sizes_and_plain_operators(static: SpecializationReport) -> None:
    file = onnx.load(static.path)
    (image,), (logits,) = file.graph.input, file.graph.output
    assert (image.name, dims(image)) == ("image", [1, *SIZE, 3])
    assert (logits.name, dims(logits)) == ("logits", [1, 11, 13, 21])
    operators = Counter(node.op_type for node in file.graph.node)
    assert set(operators) == {
        *("Add", "Cast", "Concat", "Conv", "Div", "Expand", "MatMul", "Relu", "Resize", "Slice", "Sub", "Transpose")
    }
    assert operators["Cast"] == 1  # of the image
    read = {name for node in file.graph.node for name in node.input}
    assert {tensor.name for tensor in file.graph.initializer} <= read
    assert read_spec(static.path) == static.spec
    assert static.spec == read_spec(find_model("fast-scnn-camvid")).model_copy(update={"static_size": SIZE})


def test_new_files_carry_a_checksum(static: SpecializationReport, class_maps: SpecializationReport) -> None:
    for report in (static, class_maps):
        assert CHECKSUM_KEY in read_metadata(report.path.read_bytes())
        damaged = report.path.with_name("damaged.onnx")
        content = bytearray(report.path.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
        with pytest.raises(ModelFileError, match="damaged"):
            read_spec(damaged)


def test_every_program_was_checked_and_agrees(static: SpecializationReport, class_maps: SpecializationReport) -> None:
    assert [check.engine for check in static.checks] == ["openvino", "onnxruntime", "torch", "opencv"]
    assert [check.engine for check in class_maps.checks] == ["openvino", "onnxruntime", "opencv"]
    for check in (*static.checks, *class_maps.checks):
        assert (check.size_hw, check.batch, check.agreement) == (SIZE, 1, 1)
    assert all(check.relative_error is not None and check.relative_error < 1e-5 for check in static.checks)
    assert all(check.relative_error is None for check in class_maps.checks)
    assert static.warnings == class_maps.warnings == ()
    document = json.loads(json.dumps(class_maps.to_dict(), allow_nan=False))
    assert document["spec"]["static_size"] == list(SIZE)
    assert document["spec"]["output"] == "class-map"
    assert (document["source"], document["warnings"]) == (None, [])
    assert repr(static).startswith("<SpecializationReport fast-scnn, 97x161 only, logits, 4.5 MB; 4 of 4 checks passed")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_load_runs_a_static_file_at_its_size(
    engine: str, static: SpecializationReport, source: Path, photo: np.ndarray
) -> None:
    fixed, ordinary = (load(path, engine=engine, precision="float32", device="cpu") for path in (static.path, source))
    result = fixed(photo)
    assert (result.input_size_hw, result.class_map.shape) == (SIZE, photo.shape[:2])
    expected = ordinary(photo, input_size=SIZE).class_map
    np.testing.assert_array_equal(result.class_map, expected)
    several = fixed.batch([photo, photo[:, ::-1].copy(), photo[:300]])  # one at a time
    np.testing.assert_array_equal(several[0].class_map, expected)
    assert [result.class_map.shape for result in several] == [photo.shape[:2], photo.shape[:2], (300, photo.shape[1])]
    assert [result.input_size_hw for result in fixed.stream([photo, photo])] == [SIZE, SIZE]
    np.testing.assert_array_equal(fixed(photo, input_size="97x161").class_map, expected)
    np.testing.assert_array_equal(WholeImage(fixed, InputScaling())(photo), expected)


@pytest.mark.parametrize(
    "run",
    [
        lambda segmenter, photo: segmenter(photo, input_size=512),
        lambda segmenter, photo: segmenter(photo, input_size=(161, 97)),
        lambda segmenter, photo: segmenter.batch([photo], input_size="64x64"),
        lambda segmenter, photo: segmenter.stream([photo], input_size=96),
        lambda segmenter, photo: segmenter.logits(photo),
    ],
)
def test_another_size_is_one_message(run: Any, static: SpecializationReport, photo: np.ndarray) -> None:
    segmenter = load(static.path, precision="float32")
    message = r"static\.onnx is a static file, whose network sees every image at 97x161, and not at .*; omit the input"
    with pytest.raises(InputError, match=message):
        run(segmenter, photo)


def test_class_maps_are_what_prediction_gives(
    class_maps: SpecializationReport, source: Path, photo: np.ndarray
) -> None:
    image = resize_image(photo, SIZE)
    expected = load(source, precision="float32", device="cpu")(image, input_size=SIZE).class_map
    session = onnxruntime.InferenceSession(class_maps.path)
    (output,) = session.run(None, {"image": image[None]})
    assert (session.get_outputs()[0].name, output.dtype, output.shape) == ("class_map", np.uint8, (1, *SIZE))
    np.testing.assert_array_equal(output[0], expected)
    network = cv2.dnn.readNetFromONNX(str(class_maps.path))
    network.setInput(image[None])
    np.testing.assert_array_equal(network.forward()[0], expected)


def test_class_maps_of_any_size_and_batch(source: Path, tmp_path: Path, photo: np.ndarray) -> None:
    sizes = [(64, 96), (33, 47)]
    report = specialize_onnx(source, tmp_path / "m.onnx", output="class-map", check_sizes=sizes)
    done = {(check.engine, check.size_hw, check.batch) for check in report.checks}
    assert done == {(engine, size, n) for engine in ("openvino", "onnxruntime") for size in sizes for n in (1, 3)}
    file = onnx.load(report.path)
    assert dims(file.graph.output[0]) == ["batch", "height", "width"]
    image = resize_image(photo, (72, 130))
    (output,) = onnxruntime.InferenceSession(report.path).run(None, {"image": np.stack([image, image[::-1]])})
    segmenter = load(source, precision="float32", device="cpu")
    for class_map, each in zip(output, (image, image[::-1]), strict=True):
        np.testing.assert_array_equal(class_map, segmenter(each, input_size=(72, 130)).class_map)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch", "auto"])
def test_files_that_return_class_maps_are_refused_in_one_message(engine: str, class_maps: SpecializationReport) -> None:
    message = r"class-maps\.onnx returns class maps, for other programs; RapidSeg needs logits: use the model that"
    with pytest.raises(ModelFileError, match=message):
        rapidseg.load(class_maps.path, engine=engine)


@pytest.mark.parametrize("size_hw", [(32, 32), (32, 96), (96, 33), (64, 500)])
def test_maps_of_one_pixel_row_or_column_keep_their_values(size_hw: tuple[int, int], source: Path) -> None:
    file = onnx.load(source)
    image = resize_image(read_image(SAMPLE_IMAGE), size_hw)[None]
    outputs = [
        onnxruntime.InferenceSession(each.SerializeToString()).run(None, {"image": image})[0]
        for each in (file, make_static(file, size_hw))
    ]
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-4)  # of logits up to 20: sums in another order


def test_an_int8_file_keeps_its_bytes(tmp_path: Path, photo: np.ndarray) -> None:
    source = find_model("fast-scnn-camvid-int8")
    report = specialize_onnx(source, tmp_path / "int8.onnx", static_size=(64, 96))
    assert {check.engine for check in report.checks} == {"openvino", "onnxruntime"}
    assert report.size_bytes < source.stat().st_size * 1.1
    counts = [Counter(node.op_type for node in onnx.load(path).graph.node) for path in (source, report.path)]
    assert counts[0]["DequantizeLinear"] == counts[1]["DequantizeLinear"]
    for engine in ("openvino", "onnxruntime"):
        fixed, ordinary = (load(path, engine=engine) for path in (report.path, source))
        expected = ordinary(photo, input_size=(64, 96)).class_map
        assert np.mean(fixed(photo).class_map == expected) >= 0.999


def test_operators_that_opencv_computes_wrong_are_replaced() -> None:
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "sides"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "sides"], ["pixel"]),
        helper.make_node("Squeeze", ["pixel", "sides"], ["flat"]),
        helper.make_node("BatchNormalization", ["flat", "scale", "shift", "center", "variance"], ["normal"]),
        helper.make_node("Unsqueeze", ["normal", "sides"], ["single"]),
        helper.make_node("Shape", ["floats"], ["size"]),
        helper.make_node("Resize", ["single", "", "", "size"], ["logits"], mode="linear"),
    ]
    values = {
        "sides": np.array([2, 3]),
        "scale": np.array([1, 2, 3], np.float32),
        "shift": np.array([4, 5, 6], np.float32),
        "center": np.array([7, 8, 9], np.float32),
        "variance": np.array([1, 4, 9], np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "all",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    static = make_static(file, (40, 50))
    assert [node.op_type for node in static.graph.node][3:] == ["Reshape", "Reshape", "Mul", "Add", "Reshape", "Expand"]
    image = np.random.default_rng(0).integers(0, 256, (1, 40, 50, 3), dtype=np.uint8)
    outputs = [
        onnxruntime.InferenceSession(each.SerializeToString()).run(None, {"image": image})[0] for each in (file, static)
    ]
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-5)
    network = cv2.dnn.readNetFromONNX(np.frombuffer(static.SerializeToString(), np.uint8))
    network.setInput(image)
    np.testing.assert_allclose(network.forward().reshape(outputs[0].shape), outputs[0], rtol=1e-5)


def test_sizes_that_depend_on_the_pixels_are_refused() -> None:
    nodes = [
        helper.make_node("NonZero", ["image"], ["found"]),
        helper.make_node("Cast", ["found"], ["logits"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "found",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [4, "count"])],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    message = (
        "cannot be fixed to 40x50: the size of logits depends on the pixels of the image; export the model without"
    )
    with pytest.raises(ExportError, match=message):
        make_static(file, (40, 50))


def test_a_file_that_does_not_match_leaves_the_older_one(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(file: onnx.ModelProto, size_hw: tuple[int, int]) -> onnx.ModelProto:
        static = make_static(file, size_hw)
        weights = next(tensor for tensor in static.graph.initializer if tensor.name.startswith("classifier"))
        weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.01), weights.name))
        return static

    monkeypatch.setattr(specialization, "make_static", wrong)
    path = tmp_path / "m.onnx"
    path.write_bytes(b"older")
    with pytest.raises(ExportError, match=r"do not match those of the model file \(openvino, 64x96, batch 1: relative"):
        specialize_onnx(source, path, static_size=(64, 96))
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def fails(path: Path, images: np.ndarray) -> np.ndarray:
    raise RuntimeError("no such layer")


@pytest.mark.parametrize(
    ("run", "warning"),
    [
        (lambda path, images: np.full((1, 11, 8, 12), 1e22, np.float32), "does not compute this file right (opencv, "),
        (lambda path, images: np.zeros((1, 11, 8, 13), np.float32), "returns an output of shape (1, 11, 8, 13)"),
        (fails, "cannot run this file (no such layer)"),
    ],
)
def test_what_is_wrong_in_opencv_is_a_warning(
    run: Any, warning: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(specialized_verification, "programs_for", lambda spec: {"opencv": run})
    report = specialize_onnx(source, tmp_path / "m.onnx", static_size=(64, 96))
    (text,) = report.warnings
    assert text.startswith(f"OpenCV {cv2.__version__} ")
    assert warning in text
    assert report.path.exists()


def test_class_maps_that_take_too_much_memory_are_refused(tmp_path: Path) -> None:
    labels = LabelSet.generic(200)
    source = write_tiny_onnx(tmp_path / "tiny.onnx", tiny_spec(labels))
    with pytest.raises(
        InputError, match=r"class maps of 4000x8000 with 200 classes take 26 GB .* and 4 GB are allowed"
    ):
        specialize_onnx(source, tmp_path / "m.onnx", static_size=(4000, 8000), output="class-map")
    spec = tiny_spec(labels, output="class-map")
    assert [specialized_verification._batches(spec, (side, side)) for side in (64, 2000)] == [(1, 3), (1,)]


@pytest.mark.parametrize("damaged", [b"Sub", b"planes"])
def test_a_damaged_graph_is_one_message(damaged: bytes, tmp_path: Path) -> None:
    content = bytearray(write_tiny_onnx(tmp_path / "tiny.onnx").read_bytes())
    position = content.find(damaged)
    content[position : position + 3] = b"\xff\xfe\xfd"
    (tmp_path / "tiny.onnx").write_bytes(content)
    with pytest.raises(
        ModelFileError, match=r"tiny\.onnx: the onnx package cannot use it \(.*\); export the model again"
    ):
        specialize_onnx(tmp_path / "tiny.onnx", tmp_path / "m.onnx", static_size=(64, 96))
    assert not (tmp_path / "m.onnx").exists()


def test_what_is_wrong_in_another_program_is_an_error(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(specialized_verification, "programs_for", lambda spec: {"onnxruntime": fails})
    with pytest.raises(
        ExportError, match=r"the new file does not run in onnxruntime at 64x96, batch 1 \(no such layer"
    ):
        specialize_onnx(source, tmp_path / "m.onnx", static_size=(64, 96), output="class-map")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"static": "16x64"},
            "static size 16x64 is not allowed; pass .* each 32 pixels or more, and at most 34 million",
        ),
        ({"static": (99_999, 99_999)}, "static size 99999x99999 is not allowed"),
        ({"static": "512"}, "'512' is not a size; write HEIGHTxWIDTH"),
        ({"static": 512}, "static is 512, which is not a size"),
        ({"static": "64x-96"}, "'64x-96' is not a size"),
        ({"static": "64x96", "check_sizes": "64x64"}, "check_sizes has no effect on a static file"),
        ({"static": "64x96", "input_size": 64}, "sees every image at 64x96, and not at 64; omit the input size"),
        ({"static": "64x96", "data": "camvid"}, "is exported already, so data has no effect"),
        ({"output_kind": "class_map"}, "output_kind 'class_map' is unknown; allowed are logits, class-map"),
        ({"output": "class-map"}, "output is the file to write; pass output_kind='class-map'"),
        ({"output_kind": "class-map", "check_sizes": "16x16"}, "check_sizes is .*sides of 32 pixels or more"),
        ({"static": "64x96", "output": "m.bin"}, r"m\.bin: pass a file name that ends in \.onnx"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(
    arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        rapidseg.export("fast-scnn-camvid", **arguments)
    assert not list(tmp_path.iterdir())


def test_no_other_file_is_made_of_a_file_for_other_programs(
    static: SpecializationReport, class_maps: SpecializationReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"static\.onnx takes 97x161 only; pass the model that it was exported from"):
        rapidseg.export(static.path, "m.onnx", static="64x96")
    with pytest.raises(InputError, match=r"class-maps\.onnx returns class maps; pass the model that it was exported"):
        rapidseg.export(class_maps.path, "m.onnx", output_kind="class-map")
    with pytest.raises(
        InputError, match=r"static\.onnx is a static file, whose network sees .* at 97x161; tune a model"
    ):
        rapidseg.tune(static.path, min_fps=1)
    with pytest.raises(InputError, match=r"class-maps\.onnx returns class maps, so rapidseg\.load would refuse it"):
        _read_model(class_maps.path)
    write_block_scenes(tmp_path / "scenes", train=1, val=1)
    with pytest.raises(InputError, match=r"static\.onnx takes 97x161 only; pass the model that it was exported from"):
        rapidseg.quantize(static.path, "m.onnx", data="cityscapes", root=tmp_path / "scenes")
    tiny = write_tiny_onnx(tmp_path / "tiny.onnx")
    with pytest.raises(InputError, match=r"tiny\.onnx would be replaced; pass another name"):
        rapidseg.export(tiny, tiny, static="64x96")
    assert {path.name for path in tmp_path.iterdir()} == {"scenes", "tiny.onnx"}


def test_a_model_card_says_the_only_size(static: SpecializationReport) -> None:
    assert "| Input size | 97x161 only (height x width) |" in model_card(static.spec, None)


@pytest.mark.parametrize("program", ["onnxruntime_python.py", "openvino_python.py", "opencv_python.py"])
def test_the_examples_write_what_prediction_gives(
    program: str, class_maps: SpecializationReport, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = resize_image(read_image(SAMPLE_IMAGE), SIZE)
    photo, output = tmp_path / "photo.png", tmp_path / "ids.png"
    cv2.imwrite(str(photo), image[:, :, ::-1])
    size = ["97x161"] if program == "opencv_python.py" else []
    monkeypatch.setattr("sys.argv", [program, str(class_maps.path), str(photo), str(output), *size])
    runpy.run_path(str(EXAMPLES / program), run_name="__main__")
    expected = load(source, precision="float32", device="cpu")(image, input_size=SIZE).class_map
    np.testing.assert_array_equal(cv2.imread(str(output), cv2.IMREAD_UNCHANGED), expected)
