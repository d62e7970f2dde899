"""Model files made of checkpoints without PyTorch: what the published code computes, and what export writes."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from rapidseg.exporting.onnx_graph import build_graph
from rapidseg.exporting.templates import NETWORKS, make_template
from rapidseg.exporting.verification import verify
from rapidseg.importing import build_model_file, load_checkpoint, recognize_checkpoint
from rapidseg.importing.template import find_template, has_template, network_name, variant_options
from rapidseg.models import create_model, save_model
from rapidseg.zoo import published_models
from tests.support.published import PARITY_FIXTURES


def without_normalization(path):
    """Returns the file's network as a session that takes what the published code takes: normalized images."""
    model = onnx.load(path)
    normalization = [node for node in model.graph.node if node.name.startswith("normalization.")]
    for node in normalization:
        model.graph.node.remove(node)
    del model.graph.input[:]
    shape = ["batch", 3, "height", "width"]
    model.graph.input.append(onnx.helper.make_tensor_value_info("normalized", onnx.TensorProto.FLOAT, shape))
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("fixture", PARITY_FIXTURES)
@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "old format"])
def test_a_model_file_computes_what_the_published_code_computes(check, parity_dir, fixture, zip_format, tmp_path):
    path = parity_dir / f"{fixture}.json"
    meta = json.loads(path.read_text())
    reference = np.load(path.with_suffix(".npz"))
    torch.save(check.checkpoint(meta), tmp_path / "model.pth", _use_new_zipfile_serialization=zip_format)
    spec = build_model_file(recognize_checkpoint(tmp_path / "model.pth"), tmp_path / "model.onnx")
    images = np.random.RandomState(meta["seed"]).standard_normal(meta["input"]).astype(np.float32)
    (logits,) = without_normalization(tmp_path / "model.onnx").run(["logits"], {"normalized": images})
    failures = []
    if fixture.startswith("openmmlab"):
        check.compare("logits", logits, reference["logits"], failures)
    else:  # these sources return logits of the input's size
        model = load_checkpoint(tmp_path / "model.pth")
        full = model.upsample(torch.from_numpy(logits), images.shape[2:])
        check.compare("logits", full[:, :, ::5, ::5].numpy(), reference["logits"], failures)
        assert (spec.options, spec.stride, spec.align_corners) == (
            model.spec.options,
            model.spec.stride,
            model.spec.align_corners,
        )
    assert failures == []


@pytest.mark.parametrize("variant", ["paper", "openmmlab", "tramac", "leftthomas"])
@pytest.mark.parametrize("num_classes", [2, 19])
def test_a_model_file_of_our_weights_equals_the_model_in_every_engine(variant, num_classes, tmp_path):
    torch.manual_seed(0)
    model = create_model("fast-scnn", num_classes, variant=variant)
    with torch.no_grad():  # so that statistics are not all zero and one
        model(torch.randn(2, 3, 128, 192))
    model.eval()
    written = save_model(model, tmp_path / "model.safetensors")
    spec = build_model_file(recognize_checkpoint(tmp_path / "model.safetensors"), tmp_path / "model.onnx")
    assert spec == written
    onnx.checker.check_model(onnx.load(tmp_path / "model.onnx"), full_check=True)
    assert verify(tmp_path / "model.onnx", model, spec, sizes=[(97, 161), (64, 256)])


def test_a_model_file_has_the_values_of_an_exported_one(tmp_path):
    torch.manual_seed(0)
    model = create_model("fast-scnn", 5, variant="openmmlab").eval()
    save_model(model, tmp_path / "model.safetensors")
    build_model_file(recognize_checkpoint(tmp_path / "model.safetensors"), tmp_path / "model.onnx")
    ours = {
        value.name: onnx.numpy_helper.to_array(value) for value in onnx.load(tmp_path / "model.onnx").graph.initializer
    }
    theirs = {
        value.name: onnx.numpy_helper.to_array(value) for value in build_graph(model, model.spec).graph.initializer
    }
    common = ours.keys() & theirs.keys()
    assert len(common) > 0.9 * len(theirs)  # the exporter may give one name to equal values
    for name in common:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6, atol=1e-7)  # folded in float32 there


def test_there_is_a_template_for_every_published_model_and_variant():
    for model in published_models().values():
        assert has_template(
            model.architecture, {**variant_options()[model.architecture][model.variant], **model.options}
        )
    for name, network in NETWORKS.items():
        spec = network.build(3).spec
        template = find_template(spec.architecture, spec.options)
        assert template is not None, name
        assert template.stride == spec.stride
        assert network_name(spec.architecture, spec.options) == name


def test_the_table_of_variants_is_that_of_the_architectures():
    from rapidseg.models.registry import ARCHITECTURES

    for name, architecture in ARCHITECTURES.items():
        assert variant_options()[name] == {
            variant: options.model_dump(mode="json") for variant, options in architecture.variants.items()
        }


# A template in the package may have been made by another release of the exporter, so not its bytes are compared, but
# what it says and how it is wired.
def facts(template):
    model = onnx.load_from_string(template)
    operators = [(node.op_type, len(node.input), len(node.output)) for node in model.graph.node]
    stored = json.loads({entry.key: entry.value for entry in model.metadata_props}["rapidseg.template"])
    return (
        operators,
        stored["shapes"],
        stored["stride"],
        sorted(map(sorted, (rule.items() for rule in stored["rules"].values()))),
    )


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("fast-scnn")])
def test_a_template_is_what_a_fresh_export_gives(name):
    network = NETWORKS[name]
    spec = network.build(3).spec
    assert facts(find_template(spec.architecture, spec.options).graph) == facts(make_template(network))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if "resnet50" in name and "stem=deep" in name])
def test_a_template_of_a_resnet_is_what_a_fresh_export_gives(name):
    network = NETWORKS[name]
    spec = network.build(3).spec
    assert facts(find_template(spec.architecture, spec.options).graph) == facts(make_template(network))
