"""`rapidseg import --option`: what the tensors of a checkpoint do not tell about the network."""

import json

import torch

from rapidseg.models import load_model


def test_the_stride_can_be_set(rapidseg, parity_dir, tmp_path):
    meta = json.loads((parity_dir / "openmmlab" / "encnet_r50-d8.json").read_text())
    state = {name: torch.zeros(shape, dtype=getattr(torch, dtype)) for name, shape, dtype in meta["state_dict"]}
    torch.save({"state_dict": state}, tmp_path / "encnet.pth")
    words = ("import", "encnet.pth", "-o", "encnet.safetensors", "--option")
    status, output, error = rapidseg(*words, "output_stride=32")
    assert status == 0, error
    assert load_model(tmp_path / "encnet.safetensors").spec.stride == 32
    for text, message in (
        ("output_stride", "'output_stride' is not KEY=VALUE; write an option as, for example, output_stride=32"),
        ("output_strid=32", "unknown option 'output_strid' of encnet (did you mean 'output_stride'?)"),
        ("output_stride=4", "options of encnet: output_stride should be 8, 16 or 32, not 4"),
    ):
        status, output, error = rapidseg(*words, text)
        assert (status, output) == (2, "")
        assert message in error.replace("\n", " ")
