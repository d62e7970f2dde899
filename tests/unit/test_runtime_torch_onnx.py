"""The PyTorch engine for model files: images and class maps on its device, precisions, and errors."""

import gc
import sys
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

import rapidseg
from rapidseg.core.errors import EngineError, InputError, ModelFileError
from rapidseg.imaging import read_image, resize_image
from rapidseg.runtime.engines import PRECISIONS, selection, torch_onnx
from rapidseg.runtime.engines.engine import MAX_COMPILED
from rapidseg.runtime.engines.torch_onnx import torch_onnx_engine as engine_module
from rapidseg.runtime.engines.torch_onnx.autotuner import Autotuner
from rapidseg.runtime.engines.torch_onnx.convolutions import Convolution
from rapidseg.runtime.engines.torch_onnx.images import Normalizer, resize_on_device
from rapidseg.runtime.model_file import SAMPLE_IMAGE
from rapidseg.system import gpu as nvidia
from tests.support.tiny_onnx import QUANTIZATION, tiny_spec, write_tiny_onnx

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]


@pytest.fixture(scope="module")
def image():
    return np.ascontiguousarray(read_image(SAMPLE_IMAGE)[:320, :480])


@pytest.fixture(scope="module", params=DEVICES)
def segmenter(request):
    return rapidseg.load(engine="torch", precision="float32", device=request.param)


@pytest.fixture(scope="module")
def expected(image):
    return rapidseg.load(engine="openvino", precision="float32", device="cpu")(
        image, input_size=image.shape[:2], confidence=True
    )


def on_device(image, segmenter):
    return torch.from_numpy(image.copy()).to(segmenter.engine.device)


def test_arrays_give_arrays(segmenter, image, expected):
    result = segmenter(image, input_size=image.shape[:2], confidence=True)
    assert isinstance(result.class_map, np.ndarray)
    assert isinstance(result.confidence, np.ndarray)
    assert (result.class_map == expected.class_map).mean() > 0.9999  # sums in another order move borders by a pixel
    assert np.abs(result.confidence.astype(int) - expected.confidence).max() <= 2
    assert list(result.timings_ms) == ["compile", "prepare", "network", "class_map"]
    assert len(result.timings_ms) == 4
    assert all(value >= 0 for value in result.timings_ms.values())
    assert segmenter.engine.choice.startswith("torch, as requested; float32, as requested; ")
    assert segmenter.logits(image).dtype == np.float32


def test_tensors_give_tensors_on_their_device(segmenter, image):
    expected = segmenter(image, input_size=image.shape[:2], confidence=True)
    tensor = on_device(image, segmenter)
    result = segmenter(tensor, input_size=image.shape[:2], confidence=True)
    for ours, theirs in ((result.class_map, expected.class_map), (result.confidence, expected.confidence)):
        assert ours.device == tensor.device
        assert ours.dtype == torch.uint8
        np.testing.assert_array_equal(ours.cpu().numpy(), theirs)
    assert result.image is tensor
    assert result.class_shares() == expected.class_shares()
    np.testing.assert_array_equal(result.overlay(), expected.overlay())
    assert segmenter(tensor, input_size=image.shape[:2]).confidence is None
    result.class_map[:] = 0  # the caller may change it


def test_tensors_are_resized_like_arrays(segmenter, image):
    for size_hw in ((352, 512), (224, 300), (96, 128), (400, 200)):
        resized = resize_on_device(on_device(image, segmenter), size_hw)
        assert resized.shape == (*size_hw, 3)
        differences = np.abs(resized.cpu().numpy().astype(int) - resize_image(image, size_hw))
        assert differences.max() <= 1  # OpenCV blends whole numbers
    result = segmenter(on_device(image, segmenter), input_size=(224, 300))
    assert result.class_map.shape == (320, 480)
    assert result.input_size_hw == (224, 300)


def test_streams_accept_tensors(segmenter, image):
    results = list(segmenter.stream([on_device(image, segmenter)] * 2, input_size=image.shape[:2]))
    assert [type(result.class_map) for result in results] == [torch.Tensor] * 2
    assert next(iter(results[0].timings_ms)) == "decode"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: image.float(), r"this one is \(320, 480, 3\) torch.float32; pass values from 0 to 255 as uint8"),
        (lambda image: image.permute(2, 0, 1), "move its channels to the end"),
        (
            lambda image: image.to("meta"),
            "the image is on meta, but the model runs on c.*; move it there with image.to",
        ),
    ],
)
def test_rejects_unsuitable_tensors(segmenter, image, change, message):
    with pytest.raises(InputError, match=message):
        segmenter(change(on_device(image, segmenter)), input_size=image.shape[:2])


def test_other_engines_read_tensors_as_arrays(image):
    segmenter = rapidseg.load(engine="openvino", device="cpu")
    tensor = torch.from_numpy(image)
    expected = segmenter(image).class_map
    np.testing.assert_array_equal(segmenter(tensor).class_map, expected)
    np.testing.assert_array_equal(segmenter(tensor.flip(2), bgr=True).class_map, expected)
    with pytest.raises(InputError, match=r"move its channels to the end: image\.permute\(1, 2, 0\)"):
        segmenter(tensor.permute(2, 0, 1))


def test_threads_take_turns(segmenter, image):
    images = [np.roll(image, 40 * number, axis=1) for number in range(4)]
    expected = [segmenter(each, input_size=each.shape[:2]).class_map for each in images]
    class_maps = {}

    def work(number):
        stream = torch.cuda.stream(torch.cuda.Stream()) if segmenter.engine.device != "cpu" else torch.no_grad()
        with stream:
            for _ in range(3):
                class_maps[number] = segmenter(images[number], input_size=image.shape[:2]).class_map

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        np.testing.assert_array_equal(class_maps[number], expected[number])


@pytest.mark.parametrize("device", DEVICES)
def test_sizes_used_long_ago_are_released(device, tmp_path):
    engine = rapidseg.load(write_tiny_onnx(tmp_path / "tiny.onnx"), engine="torch", device=device).engine
    shapes = [(1, 32 + 8 * number, 40, 3) for number in range(MAX_COMPILED + 1)]
    engine.compile(shapes[0])
    plans = [weakref.ref(engine.plan(shapes[0]))]
    gc.disable()  # memory of a GPU must not wait for the garbage collector
    try:
        plans += [weakref.ref(engine.plan(shape)) for shape in shapes[1:]]
        assert [plan() is None for plan in plans] == [True] + [False] * MAX_COMPILED
    finally:
        gc.enable()
    assert engine.run(np.zeros(shapes[0], np.uint8)).shape == (1, 11, 4, 5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_other_precisions_keep_nearly_every_class(device, precision, image, expected):
    segmenter = rapidseg.load(engine="torch", precision=precision, device=device)
    small = image[:64, :96]  # CPUs take long for fp16
    expected = rapidseg.load(engine="torch", precision="float32", device="cpu").class_map(small)
    assert segmenter.engine.precision == precision
    assert (segmenter.class_map(small) == expected).mean() > 0.98


@pytest.mark.parametrize("channels_in", [8, 12])
@pytest.mark.parametrize("bounds", [None, (0.0, float("inf")), (0.0, 6.0)])
def test_algorithms_of_a_pointwise_convolution_agree(channels_in, bounds):
    weight = torch.randn(8, channels_in, 1, 1)
    convolution = Convolution(weight, torch.randn(8), [1, 1], [0, 0], [1, 1], 1, bounds)
    x = torch.randn(2, channels_in, 9, 7).contiguous(memory_format=torch.channels_last)
    autotuner = Autotuner(with_triton=True)
    valid = autotuner.valid(convolution.algorithms(with_triton=True), x)
    expected = ["plain", "linear", "linear, fused"] if bounds == (0.0, float("inf")) else ["plain", "linear"]
    assert list(valid) == expected
    assert all(run(x).is_contiguous(memory_format=torch.channels_last) for run in valid.values())
    assert [name for name, _ in autotuner.rejected] == (
        ["fused"] if bounds == (0.0, float("inf")) else []
    )  # no cuDNN here


@pytest.mark.parametrize("bounds", [None, (0.0, float("inf"))])
def test_an_image_is_padded_for_tensor_cores(bounds):
    convolution = Convolution(torch.randn(8, 3, 3, 3), torch.randn(8), [2, 2], [1, 1], [1, 1], 1, bounds)
    x = torch.randn(2, 3, 19, 17).contiguous(memory_format=torch.channels_last)
    valid = Autotuner(with_triton=False).valid(convolution.algorithms(with_triton=False), x)
    assert list(valid) == ["plain", "padded, plain"]
    assert valid["padded, plain"](x).is_contiguous(memory_format=torch.channels_last)


def test_an_algorithm_that_is_wrong_is_rejected():
    autotuner = Autotuner(with_triton=False)
    algorithms = {"plain": lambda x: x, "wrong": lambda x: x + 1, "fine": lambda x: x.clone()}
    assert list(autotuner.valid(algorithms, torch.ones(1, 1, 2, 2))) == ["plain", "fine"]
    assert autotuner.rejected == [("wrong", "off by 1.0e+00")]


def test_the_random_state_of_the_caller_is_not_changed(segmenter):
    before = torch.get_rng_state()
    segmenter.engine.compile((1, 40, 56, 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_fp16_is_normalized_in_float32():
    images = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3).contiguous()
    normalize = Normalizer((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), torch.device("cpu"))
    exact = normalize(images, torch.empty(1, 3, 16, 16))
    half = normalize(images, torch.empty(1, 3, 16, 16, dtype=torch.float16))
    torch.testing.assert_close(half.float(), exact, rtol=2**-11, atol=1e-6)  # half a unit in the last place


def test_int8_models_are_rejected(tmp_path):
    path = write_tiny_onnx(tmp_path / "int8.onnx", tiny_spec(quantization=QUANTIZATION))
    with pytest.raises(
        EngineError, match=r"int8\.onnx is an INT8 model, which PyTorch cannot run; use engine openvino"
    ):
        rapidseg.load(path, engine="torch")


def test_unsupported_operators_are_named(tmp_path):
    path = write_tiny_onnx(tmp_path / "odd.onnx")
    file = onnx.load(path)
    file.graph.node[-1].output[0] = "before"
    file.graph.node.append(helper.make_node("Erf", ["before"], ["logits"]))
    onnx.save(file, path)
    with pytest.raises(
        ModelFileError, match=r"odd\.onnx has the operator Erf, which the PyTorch engine does not support"
    ):
        rapidseg.load(path, engine="torch")


def test_unavailable_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.version, "cuda", None)
    for device in ("cuda", "cuda:1", "toaster"):
        with pytest.raises(
            EngineError, match=f"PyTorch: device '{device}' not found; available: cpu. PyTorch .* was bu"
        ):
            rapidseg.load(engine="torch", device=device)
    with pytest.raises(EngineError, match="PyTorch: device 'cuda' not found"):
        rapidseg.load(device="cuda")


def test_out_of_memory_is_explained(segmenter, image, monkeypatch):
    def overflow(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nmore")

    monkeypatch.setattr(Normalizer, "__call__", overflow)
    message = (
        r"not have enough memory for images of \(1, 320, 480, 3\): CUDA out .* GiB. Use a smaller input size or batch"
    )
    with pytest.raises(EngineError, match=message):
        segmenter(image, input_size=image.shape[:2])


def test_a_missing_package_is_explained(monkeypatch):
    monkeypatch.delitem(sys.modules, torch_onnx.__name__ + ".torch_onnx_engine")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineError, match=r"torch is not installed; run in the clone .*'\.\[nvidia\]', or use another"):
        rapidseg.load(engine="torch")


@needs_gpu
def test_a_graph_equals_its_steps(image):
    engine = rapidseg.load(engine="torch", precision="fp16", device="cuda").engine
    images = np.stack([image, image[::-1]])
    logits = engine.infer(engine.upload(images))
    spec, on_gpu = rapidseg.load().spec, torch.from_numpy(images).cuda()
    with torch.no_grad():
        normalized = torch.empty((2, 3, *images.shape[1:3]), dtype=torch.float16, device="cuda").contiguous(
            memory_format=torch.channels_last
        )
        Normalizer(spec.mean, spec.std, normalized.device)(on_gpu, normalized)
        torch.testing.assert_close(logits, engine.plan(images.shape)(normalized), rtol=0, atol=0)
    other = engine.infer(engine.upload(images[::-1].copy()))
    assert not torch.equal(logits, other)  # later calls do not overwrite the first logits
    torch.testing.assert_close(logits.flip(0), other, rtol=1e-2, atol=1e-2)


@needs_gpu
def test_a_usable_gpu_is_selected(image, monkeypatch, tmp_path):
    monkeypatch.setattr(selection, "find_gpu", nvidia.find_gpu)
    path = write_tiny_onnx(tmp_path / "tiny.onnx", tiny_spec(precisions={"fp16": 0.999}))
    segmenter = rapidseg.load(path)
    assert (segmenter.engine.name, segmenter.engine.precision) == ("torch", "fp16")
    assert segmenter.engine.device == f"cuda:{torch.cuda.current_device()}"
    assert segmenter.engine.warning is None
    assert torch.cuda.get_device_name() in segmenter.engine.choice
    assert "class maps with Triton" in segmenter.engine.choice
    expected = rapidseg.load(path, device="cpu").class_map(image)
    assert (segmenter.class_map(image) == expected).mean() > 0.98


@needs_gpu
def test_float32_is_not_tf32(image):
    ours = rapidseg.load(engine="torch", precision="float32", device="cuda").logits(image)
    expected = rapidseg.load(engine="torch", precision="float32", device="cpu").logits(image)
    assert np.abs(ours - expected).max() <= 1e-4 * np.abs(expected).max()


def test_peak_memory_counts_every_gpu(monkeypatch):
    from rapidseg.system.memory import peak_gpu_memory_bytes

    cuda = SimpleNamespace(
        is_initialized=lambda: True, device_count=lambda: 2, max_memory_reserved=lambda index: 100 + index
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert peak_gpu_memory_bytes() == 201


def test_the_engine_has_a_dtype_for_every_precision_but_int8():
    assert set(engine_module.DTYPES) == set(PRECISIONS) - {"int8"}
