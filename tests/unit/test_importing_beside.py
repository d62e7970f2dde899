"""Tensors beside a network, of losses and metrics: passed over with a note, while the network must be whole."""

from __future__ import annotations

import pytest
import torch

import rapidseg
from rapidseg.core.errors import ModelFileError
from rapidseg.core.progress import NullProgress
from rapidseg.importing import load_checkpoint, recognize_checkpoint
from tests.support.checkpoint_files import called, storage, tensor, write_zip
from tests.support.published import published_state

NETWORK = published_state("tramac")


def recognize(path, state, name="lit.ckpt"):
    """Writes a Lightning checkpoint, recognizes it, and returns it and the notes."""
    torch.save({"state_dict": state, "pytorch-lightning_version": "2.2.0", "epoch": 3}, path / name)
    notes = []
    return recognize_checkpoint(path / name, labels="cityscapes", note=notes.append), notes


@pytest.mark.parametrize("prefix", ["net.", "model.", "segmentor.", "a.b.network.", ""])
def test_losses_and_metrics_are_passed_over_with_a_note(tmp_path, prefix):
    extras = {
        "criterion.weight": torch.ones(19),
        "loss_fn.ce.pos_weight": torch.full((19,), torch.inf),
        "val_iou.confmat": torch.zeros(19, 19, dtype=torch.long),
        "train_metrics.MeanIoU.confmat": torch.zeros(19, 19),
        "test_acc.tp": torch.zeros(19),
        "class_weights": torch.ones(19),
    }
    found, notes = recognize(tmp_path, {**{prefix + name: tensor for name, tensor in NETWORK.items()}, **extras})
    expected = recognize(tmp_path, NETWORK, "network.ckpt")[0]
    assert found.state.keys() == expected.state.keys()
    assert all(found.state[name].equals(expected.state[name]) for name in found.state)
    (note,) = notes
    assert note.startswith("6 tensors beside the network")
    assert "criterion.weight, " in note


def test_another_network_beside_is_passed_over(tmp_path):
    state = {"net." + name: tensor for name, tensor in NETWORK.items()} | {"perceptual.vgg.0.weight": torch.ones(3, 3)}
    found, notes = recognize(tmp_path, state)
    assert "perceptual.vgg.0.weight" in notes[0]
    assert "perceptual.vgg.0.weight" not in found.state


def test_layers_that_the_network_does_not_have_are_not_passed_over(tmp_path):
    for prefix in ("", "net."):
        state = {prefix + name: tensor for name, tensor in {**NETWORK, "attention.weight": torch.ones(4)}.items()}
        found, notes = recognize(tmp_path, state)
        assert notes == []
        assert "attention.weight" in found.state  # the network is then refused, since it does not know that layer


def test_a_network_that_is_not_whole_is_refused(tmp_path):
    state = {"net." + name: tensor for name, tensor in NETWORK.items()} | {"criterion.weight": torch.ones(19)}
    removed = next(name for name in state if name.startswith("net.classifier.") and name.endswith(".weight"))
    del state[removed]
    torch.save({"state_dict": state}, tmp_path / "cut.ckpt")
    with pytest.raises(ModelFileError, match=r"1 missing|unknown tensor names") as caught:
        load_checkpoint(tmp_path / "cut.ckpt", labels="cityscapes")
    assert "criterion" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.float64, torch.uint8])
def test_counters_of_another_type_are_fine(tmp_path, dtype):
    counters = {name: torch.full((1,), 7, dtype=dtype) for name in NETWORK if name.endswith("num_batches_tracked")}
    found, _ = recognize(tmp_path, {**NETWORK, **counters})
    assert counters
    ours = [tensor for name, tensor in found.state.items() if name.endswith("num_batches_tracked")]
    assert {(tensor.dtype, tensor.shape) for tensor in ours} == {("int64", ())}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.eye(3).to_sparse(), r"a sparse tensor; .*tensor\.to_dense\(\)"),
        (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), r"a nested tensor; .*to_padded_tensor"),
        (lambda: torch.ones(3).to(torch.float8_e4m3fn), r"a tensor of 8 bits or fewer; .*tensor\.float\(\)"),
        (lambda: torch.ones(3, dtype=torch.cfloat).conj(), "a view of a complex tensor; .*resolve_conj"),
        (torch.nn.parameter.UninitializedParameter, "a parameter without values; .*run the network once"),
    ],
)
def test_tensors_that_are_not_plain_are_told_with_a_remedy(tmp_path, make, message):
    torch.save({"classifier.weight": make()}, tmp_path / "odd.pth")
    with pytest.raises(ModelFileError, match=message):
        recognize_checkpoint(tmp_path / "odd.pth")


def test_a_content_that_holds_itself_is_searched_once(tmp_path):
    content = {"epoch": 1}
    content.update({f"k{i}": content for i in range(300)})
    content["state_dict"] = {"k": content, "odd.weight": torch.ones(3)}
    torch.save(content, tmp_path / "self.pth")
    with pytest.raises(ModelFileError, match="unknown tensor names"):
        recognize_checkpoint(tmp_path / "self.pth")


class Messages(NullProgress):
    def __init__(self):
        self.texts = []

    def message(self, text):
        self.texts.append(text)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_values_that_only_code_could_read_are_named_where_a_checkpoint_is_used(tmp_path, monkeypatch, count):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    names = ["argparse.Namespace", *(f"project.settings.Config{index}" for index in range(1, count))]
    content = {name: called(name) for name in names}
    tensors, storages = {}, {}
    for key, (name, values) in enumerate(NETWORK.items()):
        values = values.float().contiguous()
        storages[str(key)] = values.numpy().tobytes()
        stored = storage("torch.FloatStorage", str(key), values.numel())
        tensors[name] = tensor(stored, 0, tuple(values.shape), tuple(values.stride()))
    file = write_zip(tmp_path / "model.pth", {**content, "state_dict": tensors}, storages)
    expected = f"{file}: skipped what only code could read: {', '.join(names[:3])}"
    expected += f"{' and 2 more' if count == 5 else ''}; the weights do not need it"
    said = []
    load_checkpoint(file, labels="cityscapes", note=said.append)
    assert said == [expected]
    assert expected in rapidseg.import_checkpoint(file, tmp_path / "model.safetensors").notes
    messages = Messages()
    rapidseg.load(file, device="cpu", progress=messages)
    assert f"note: {expected}" in messages.texts


def test_a_checkpoint_of_tensors_alone_has_no_such_note(tmp_path):
    assert recognize(tmp_path, NETWORK)[1] == []
