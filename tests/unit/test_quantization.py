"""INT8 files: their graph and specification, their fallback layers, and what is rejected."""

import json

import numpy as np
import onnx
import openvino
import pytest
from onnx import numpy_helper

import rapidseg
from rapidseg.core.errors import EngineError, ExportError, InputError
from rapidseg.core.spec import SPEC_KEY, ModelSpec
from rapidseg.data import open_dataset
from rapidseg.exporting import quantize_onnx
from rapidseg.exporting.int8.fallback_layers import min_fallback_layers
from rapidseg.exporting.int8.int8_layers import layer_nodes, with_fallback_layers
from rapidseg.imaging import read_image
from rapidseg.runtime.engines.openvino import OpenVinoEngine, openvino_computes_in_bf16
from rapidseg.runtime.engines.openvino_input import split_preprocessing
from rapidseg.runtime.model_file import find_model, read_spec
from tests.support.block_scenes import write_block_scenes
from tests.support.brightness_onnx import CLASSES, write_brightness_onnx

SIZES = [(96, 128), (33, 47)]
MAX_DROP = 2  # points; on three small images rounding alone moves mean IoU by one, a ruined layer by fifty


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_block_scenes(tmp_path_factory.mktemp("scenes"), classes=CLASSES)


def quantize(scenes, source, path, **options):
    train, val = (open_dataset("cityscapes", scenes, split) for split in ("train", "val"))
    return quantize_onnx(source, path, train, val, **{"check_sizes": SIZES, "max_drop": MAX_DROP, **options})


@pytest.fixture(scope="module")
def plain(scenes, tmp_path_factory):
    """A file that INT8 hardly changes, and the report of its quantization."""
    folder = tmp_path_factory.mktemp("plain")
    source = write_brightness_onnx(folder / "model.onnx")
    return source, quantize(scenes, source, folder / "model-int8.onnx")


@pytest.fixture(scope="module")
def loud(scenes, tmp_path_factory):
    """A file with a layer that INT8 ruins, and the report of its quantization."""
    folder = tmp_path_factory.mktemp("loud")
    source = write_brightness_onnx(folder / "model.onnx", loud=1)
    return source, quantize(scenes, source, folder / "model-int8.onnx")


def test_names_and_free_dimensions_stay(plain):
    file = onnx.load(plain[1].path)
    (image,), (logits,) = file.graph.input, file.graph.output
    dims = [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (image, logits)]
    assert (image.name, logits.name) == ("image", "logits")
    assert dims == [["batch", "height", "width", 3], ["batch", 19, "logits_height", "logits_width"]]
    assert (file.opset_import[0].version, file.ir_version) == (18, 8)
    before_normalized = file.graph.node[: [node.output[0] for node in file.graph.node].index("normalized") + 1]
    assert [node.op_type for node in before_normalized] == ["Transpose", "Cast", "Div"]


def test_weights_are_stored_as_int8_and_activations_are_unsigned(plain):
    graph = onnx.load(plain[1].path).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    for node in graph.node:
        if node.op_type == "Conv":
            dequantize = makers[node.input[1]]
            assert dequantize.op_type == "DequantizeLinear"
            assert stored[dequantize.input[0]].dtype == np.int8
            assert np.abs(stored[dequantize.input[0]]).max() <= 64  # half of the range: no CPU overflows
            quantize_node = makers[makers[node.input[0]].input[0]]
            assert stored[quantize_node.input[2]].dtype == np.uint8
            if makers[quantize_node.input[0]].op_type == "Relu":
                assert not stored[quantize_node.input[2]].any()


def test_the_specification_says_what_it_cost(plain):
    source, report = plain
    spec = read_spec(report.path)
    assert spec == report.spec
    quantization = spec.quantization
    assert (quantization.dataset, quantization.calibration_split, quantization.validation_split) == (
        "cityscapes",
        "train",
        "val",
    )
    assert quantization.calibration_images == 6
    assert quantization.fallback_layers == ()
    assert quantization.mean_iou_float32 > 0.5
    assert quantization.mean_iou >= quantization.mean_iou_float32 - MAX_DROP / 100
    assert quantization.agreement > 0.97
    assert [score.mean_iou for score in spec.scores] == [quantization.mean_iou]
    assert spec.scores[0].protocol == "whole image, single scale"
    assert set(spec.precisions) == ({"bf16"} if openvino_computes_in_bf16("cpu") else set())
    assert report.trials == {0: quantization.mean_iou}
    assert report.float32_size_bytes == source.stat().st_size
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["spec"]["quantization"]["fallback_layers"] == []


def test_both_engines_were_verified_at_every_size_and_batch(plain):
    done = {(check.engine, check.size_hw, check.batch) for check in plain[1].checks}
    assert done == {
        (engine, size, batch) for engine in ("onnxruntime", "openvino") for size in SIZES for batch in (1, 3)
    }
    assert all(check.passed for check in plain[1].checks)
    assert "openvino, 96x128, batch 1: " in str(plain[1].checks[0])


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("precision", ["auto", "int8"])
def test_an_int8_file_runs_in_int8(plain, scenes, engine, precision):
    source, report = plain
    segmenter = rapidseg.load(report.path, engine=engine, precision=precision)
    assert segmenter.engine.precision == "int8"
    assert "int8 as in the model file, and " in segmenter.engine.choice
    image = read_image(next((scenes / "leftImg8bit" / "val").rglob("*.png")))
    same = segmenter.class_map(image) == rapidseg.load(source, precision="float32").class_map(image)
    assert same.mean() > 0.97  # rounding moves borders here or there


def test_openvino_starts_from_bytes_and_computes_what_the_whole_file_does(plain, scenes):
    image = read_image(next((scenes / "leftImg8bit" / "val").rglob("*.png")))[None, :95]
    core = openvino.Core()
    network, network_input = split_preprocessing(core.read_model(plain[1].path), openvino.Type.f32, plain[1].path)
    assert network_input.type == openvino.Type.u8
    assert [port.element_type for port in network.inputs] == [openvino.Type.u8]
    segmenter = rapidseg.load(plain[1].path, engine="openvino")
    floats = "f32" if "float32 for the rest" in segmenter.engine.choice else "bf16"
    whole = core.compile_model(plain[1].path, "CPU", {"INFERENCE_PRECISION_HINT": floats})
    np.testing.assert_array_equal(segmenter.engine.run(image), whole(image)["logits"])
    _, float_input = split_preprocessing(core.read_model(plain[0]), openvino.Type.f32, plain[0])
    assert float_input.type == openvino.Type.f32


def test_the_layer_that_costs_accuracy_stays_in_floating_point(loud):
    source, report = loud
    assert report.quantization.fallback_layers == ("classifier",)
    assert list(report.effects) == ["classifier"]
    assert report.trials[0] < report.quantization.mean_iou_float32 - 0.2
    assert report.trials[1] == report.quantization.mean_iou >= report.quantization.mean_iou_float32 - MAX_DROP / 100
    original, file = onnx.load(source), onnx.load(report.path)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in file.graph.initializer}
    for tensor in original.graph.initializer:
        if tensor.name.startswith("classifier"):
            np.testing.assert_array_equal(stored[tensor.name], numpy_helper.to_array(tensor))
    node = next(node for node in file.graph.node if node.name == "node.classifier")
    assert list(node.input) == ["louder.output", "classifier.weight", "classifier.bias"]


def test_with_every_layer_in_floating_point_the_float32_file_comes_back(loud):
    source, report = loud
    network = onnx.load(source)
    restored = with_fallback_layers(onnx.load(report.path), network, layer_nodes(network))
    assert [(node.op_type, list(node.input)) for node in restored.graph.node] == [
        (node.op_type, list(node.input)) for node in network.graph.node
    ]
    originals = {tensor.name: numpy_helper.to_array(tensor) for tensor in network.graph.initializer}
    assert {tensor.name for tensor in restored.graph.initializer} == set(originals)
    for tensor in restored.graph.initializer:
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), originals[tensor.name])


def test_a_model_that_loses_too_much_is_rejected_with_its_figures(scenes, tmp_path):
    source = write_brightness_onnx(tmp_path / "model.onnx", quiet=0, loud=3)
    path = tmp_path / "model-int8.onnx"
    path.write_bytes(b"older")
    with pytest.raises(ExportError) as rejection:
        quantize(scenes, source, path)
    message = str(rejection.value)
    assert message.startswith("INT8 loses more than 2 points of the mean IoU of 0.")
    assert "points with 0 of 5 layers in floating point and " in message
    assert (
        "points with 2 of 5 layers in floating point. No file was written; allow a larger drop with --max-drop "
        "(max_drop= in Python)" in message
    )
    assert path.read_bytes() == b"older"
    assert sorted(tmp_path.iterdir()) == [path, source]


def test_sums_are_layers_too():
    node = onnx.helper.make_node
    weight = numpy_helper.from_array(np.zeros((3, 3, 1, 1), np.float32), "first.conv.weight")
    graph = onnx.helper.make_graph(
        [
            node("Conv", ["normalized", "first.conv.weight"], ["a"], "n1"),
            node("Conv", ["a", "computed"], ["b"], "n2"),
            node("Add", ["a", "normalized"], ["c"], "n3"),
            node("Add", ["c", "normalized"], ["logits"], "n4"),
        ],
        "sums",
        [],
        [],
        [weight],
    )
    layers = layer_nodes(onnx.helper.make_model(graph))
    assert {name: layer.name for name, layer in layers.items()} == {"first.conv": "n1", "sum after first.conv": "n3"}


@pytest.mark.parametrize("needed", range(12))
def test_the_fewest_layers_that_are_enough_stay_in_floating_point(needed):
    measured = []

    def mean_iou_with(count):
        measured.append(count)
        return 0.6 if count >= needed else 0.5

    count = min_fallback_layers(20, mean_iou_with, 0.6)
    assert count == (needed if needed <= 10 else None)
    assert len(measured) == len(set(measured)) <= 6  # 2 + log2(20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calibration_images": 0}, "0 calibration images are too few; pass 1 or more, such as 100"),
        ({"max_drop": -1}, "max_drop is -1; pass points of mean IoU from 0 to 100, such as 0.5"),
        ({"path": "model.bin"}, r"model\.bin: pass a file name that ends in \.onnx"),
        ({"path": "model.onnx"}, r"model\.onnx is the float32 file itself; pass another name for the INT8 file"),
    ],
)
def test_arguments_that_cannot_work_are_rejected(options, message, scenes, tmp_path):
    source = write_brightness_onnx(tmp_path / "model.onnx")
    path = tmp_path / options.pop("path", "int8.onnx")
    with pytest.raises(InputError, match=message):
        quantize(scenes, source, path, **options)


def test_an_int8_file_is_not_quantized_again(plain, scenes, tmp_path):
    with pytest.raises(InputError, match=r"model-int8\.onnx is already an INT8 file; pass the float32 file"):
        quantize(scenes, plain[1].path, tmp_path / "again.onnx")


def test_labels_are_needed(plain, tmp_path):
    unlabeled = write_block_scenes(tmp_path, labeled=False)
    with pytest.raises(InputError, match="cityscapes val: no pixel is labeled, so mean IoU cannot be measured"):
        quantize(unlabeled, plain[0], tmp_path / "int8.onnx")


def test_an_engine_that_computes_something_else_is_detected(plain, monkeypatch, tmp_path, scenes):
    infer = OpenVinoEngine.infer
    # Logits of another scale have the same class maps, so only the verification notices.
    monkeypatch.setattr(OpenVinoEngine, "infer", lambda self, prepared: infer(self, prepared) * 1.2)
    with pytest.raises(
        ExportError, match=r"openvino does not compute what the INT8 file says \(openvino, 96x128, batch 1: "
    ):
        quantize(scenes, plain[0], tmp_path / "int8.onnx")
    assert not list(tmp_path.iterdir())


def test_int8_files_of_version_0_1_load():
    built_in = find_model("fast-scnn-camvid-int8")
    properties = {entry.key: entry.value for entry in onnx.load(built_in).metadata_props}
    stored = json.loads(properties[SPEC_KEY])
    assert {"working_short_side", "licence"} <= set(stored)
    assert {"working_size", "kept"} <= set(stored["quantization"])
    spec = read_spec(built_in)
    assert (spec.input_short_side, spec.license) == (stored["working_short_side"], stored["licence"])
    assert spec.quantization.input_size == stored["quantization"]["working_size"]
    stored["quantization"]["kept"] = ["classifier.3"]
    old = ModelSpec.from_json(json.dumps(stored), where="old.onnx")
    assert old.quantization.fallback_layers == ("classifier.3",)
    assert ModelSpec.from_json(old.to_json(), where="new.onnx") == old
    assert rapidseg.load("fast-scnn-camvid-int8").engine.precision == "int8"


def test_float32_of_an_int8_file_is_an_error(plain):
    with pytest.raises(EngineError, match="is an INT8 model, which does not run in float32"):
        rapidseg.load(plain[1].path, precision="float32")
