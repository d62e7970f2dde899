"""A Fast-SCNN in PyTorch, ONNX Runtime and OpenVINO: the same logits at sizes that export does not check."""

import collections
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch

import rapidseg
from rapidseg.exporting import export_onnx
from rapidseg.exporting.verification import image_like_noise
from rapidseg.imaging import read_image
from rapidseg.importing import load_checkpoint
from rapidseg.models import create_model
from rapidseg.runtime import Segmenter
from rapidseg.runtime.engines import openvino as openvino_engine
from rapidseg.runtime.engines.openvino import OpenVinoEngine, openvino_computes_in_bf16
from rapidseg.runtime.engines.openvino_tiling import TilingLimits, tile_rows
from rapidseg.runtime.engines.torch_onnx.torch_onnx_engine import TorchOnnxEngine

# Relative to the largest logit. Engines order float32 sums differently, which gives 1e-6; a border or a pooling cell
# that is off by one pixel gives 1e-2.
TOLERANCE = 1e-4

# The smallest size, odd sizes, sizes that pooling divides (192x384 pools a 6x12 map) and does not, and a narrow image.
SIZES = [(32, 32), (33, 47), (64, 65), (161, 97), (192, 384), (250, 330), (32, 400)]
OPENVINO_SETTINGS = {"INFERENCE_PRECISION_HINT": "f32"}
SIZE_OPERATIONS = {"Shape", "ShapeOf", "Range", "Less", "GreaterOrEqual", "GreaterEqual", "Floor", "LogicalAnd", "And"}


@pytest.fixture(scope="module", params=["paper", "openmmlab", "tramac", "leftthomas"])
def exported(request, tmp_path_factory):
    """A narrow Fast-SCNN whose batch statistics are those of a trained one, and its model file."""
    torch.manual_seed(0)
    model = create_model("fast-scnn", num_classes=7, variant=request.param, width=0.25)
    with torch.no_grad():  # fills the running averages, which make the logits of a fresh network differ between pixels
        for _ in range(3):
            model(torch.randn(4, 3, 128, 192))
    model.eval()
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    export_onnx(model, model.spec, path, check_sizes=[(97, 161)], images=())
    return model, path


def reference(model, images):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (model.spec.mean, model.spec.std))
    planes = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        return model((planes - mean) / std).numpy()


def assert_close(ours, expected):
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() <= TOLERANCE * np.abs(expected).max()


def specialized(path, batch, size_hw):
    network = openvino.Core().read_model(path)
    network.reshape({"image": [batch, *size_hw, 3]})
    return network


def test_one_onnxruntime_session_serves_every_size_and_batch(exported):
    model, path = exported
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 2):
        for size_hw in SIZES:
            images = image_like_noise(batch, size_hw)
            assert_close(session.run(["logits"], {"image": images})[0], reference(model, images))


def test_openvino_specialized_to_a_size(exported):
    model, path = exported
    for batch, size_hw in [(1, SIZES[0]), (2, SIZES[1]), (1, SIZES[4]), (2, SIZES[5]), (1, SIZES[6])]:
        images = image_like_noise(batch, size_hw)
        compiled = openvino.Core().compile_model(specialized(path, batch, size_hw), "CPU", OPENVINO_SETTINGS)
        assert_close(compiled(images)["logits"], reference(model, images))


def test_pytorch_runs_the_file_as_the_model(exported):
    model, path = exported
    engine = TorchOnnxEngine(path, model.spec, precision="float32", device="cpu")
    for batch, size_hw in [(1, SIZES[0]), (2, SIZES[1]), (1, SIZES[4]), (3, SIZES[5]), (1, SIZES[6])]:
        images = image_like_noise(batch, size_hw)
        assert_close(engine.run(images), reference(model, images))


def test_pytorch_folds_pooling_and_sizes_once_the_size_is_known(exported):
    model, path = exported
    engine = TorchOnnxEngine(path, model.spec, precision="float32", device="cpu")
    operators = collections.Counter(step.operator for step in engine.plan((1, 97, 161, 3)).steps)
    assert not SIZE_OPERATIONS & set(operators), operators
    assert operators["MatMul"] == 2
    assert operators["Relu"] == operators["Clip"] == 0  # part of the operator before


def test_openvino_without_specializing(exported):
    model, path = exported
    compiled = openvino.Core().compile_model(path, "CPU", OPENVINO_SETTINGS)
    for size_hw in SIZES:
        images = image_like_noise(1, size_hw)
        assert_close(compiled(images)["logits"], reference(model, images))


def test_openvino_folds_pooling_and_sizes_once_the_size_is_known(exported):
    from openvino.passes import ConstantFolding, Manager

    network = specialized(exported[1], 1, (97, 161))
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(network)
    operations = collections.Counter(operation.get_type_name() for operation in network.get_ops())
    assert not SIZE_OPERATIONS & set(operations), operations
    assert operations["MatMul"] == 2  # the two products of pyramid pooling, with constants


def test_onnxruntime_folds_pooling_and_sizes_once_the_size_is_known(exported, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    for name, size in (("batch", 1), ("height", 97), ("width", 161)):
        options.add_free_dimension_override_by_name(name, size)
    onnxruntime.InferenceSession(exported[1], options, providers=["CPUExecutionProvider"])
    operations = collections.Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert not SIZE_OPERATIONS & set(operations), operations


@pytest.mark.parametrize("size_hw", [(250, 330), (161, 97), (192, 384)])
def test_tiles_of_rows_change_nothing(exported, size_hw, monkeypatch):
    model, path = exported
    image = image_like_noise(1, size_hw)
    counts = []

    def run(precision, limits=None):
        def tile(network, bytes_per_value):
            counts.extend(tile_rows(network, bytes_per_value, limits))

        monkeypatch.setattr(openvino_engine, "tile_rows", tile)
        return OpenVinoEngine(path, model.spec, precision=precision, device="cpu", cache=False).run(image)

    precisions = ["float32", *(["bf16"] if openvino_computes_in_bf16("cpu") else [])]
    whole = {precision: run(precision) for precision in precisions}
    assert not counts  # so small an image is not tiled
    limits = TilingLimits(max_whole_bytes=1 << 10, tile_bytes=1 << 14, min_rows_per_shared_row=1)
    tiled = {precision: run(precision, limits) for precision in precisions}
    assert len(counts) >= 2 * len(precisions)
    assert max(counts) >= 8
    # The same products are added in the same order for each value, however many rows there are.
    np.testing.assert_array_equal(tiled["float32"], whole["float32"])
    if "bf16" in precisions:  # where a kernel rounds in between depends on its shape; it rounds as often
        error_tiled, error_whole = (np.abs(each["bf16"] - whole["float32"]).max() for each in (tiled, whole))
        assert error_tiled <= 1.5 * error_whole


def test_layers_of_large_weights_are_not_tiled(exported):
    network = specialized(exported[1], 1, (250, 330))
    limits = TilingLimits(max_whole_bytes=1 << 10, tile_bytes=1 << 14, min_rows_per_shared_row=1)
    assert tile_rows(network, 4, limits)
    network = specialized(exported[1], 1, (250, 330))
    assert tile_rows(network, 4, replace(limits, max_weight_bytes=100)) == []


def test_real_weights_give_the_same_class_map_of_a_photo(cityscapes_weights, camvid_root, tmp_path):
    model = load_checkpoint(cityscapes_weights)
    path = tmp_path / "cityscapes.onnx"
    export_onnx(model, model.spec, path, check_sizes=[(97, 161)], images=())
    photo = read_image(sorted((camvid_root / "val").glob("*.png"))[0])
    expected = Segmenter.from_model(model).class_map(photo)
    assert len(np.unique(expected)) > 5
    for engine in ("openvino", "onnxruntime", "torch"):
        segmenter = rapidseg.load(path, engine=engine, precision="float32", device="cpu")
        assert (segmenter(photo).class_map == expected).mean() >= 0.999
