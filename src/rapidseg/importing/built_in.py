"""Reads the weights of the built-in model back from its ONNX file, so that training can start from them.

At export, batch normalization is folded into the convolutions: a convolution's weights are multiplied by
`scale / std` and get the bias `shift - mean * scale / std`. Scale, shift, mean and std are not in the file. Any mean
and variance give the same outputs in evaluation mode if scale and shift are chosen for them. In training mode, batch
normalization uses the statistics of the batch, so the outputs are the same only for the mean and variance that the
convolution's outputs really have. They are measured here, on the packaged sample, a drawn street scene: then 9 of 10
pixels of other scenes keep their class in training mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from rapidseg.core.errors import ModelFileError
from rapidseg.imaging import read_image
from rapidseg.models import SegmentationModel, model_from_spec
from rapidseg.models.layers import ConvNormAct
from rapidseg.runtime.model_file import BUILT_IN_MODELS, SAMPLE_IMAGE, find_model, read_spec


def is_built_in(source: str) -> bool:
    """Tells whether a text is the name of a built-in model, and not of a file."""
    return source in BUILT_IN_MODELS and not Path(source).exists()


def load_built_in(name: str) -> SegmentationModel:
    """Returns a built-in model in evaluation mode, without auxiliary heads, which its file does not have.

    Its outputs are those of the file up to the rounding of float32.

    Raises:
        ModelFileError: the model's weights are INT8.
    """
    path = find_model(name)
    spec = read_spec(path)
    if spec.quantization is not None or name.endswith("-int8"):
        raise ModelFileError(
            f"{name} is an INT8 file, whose weights are rounded; pass {BUILT_IN_MODELS[0]}, of which it was made"
        )
    tensors = {
        tensor.name: torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
        for tensor in onnx.load(path).graph.initializer
    }
    model = model_from_spec(spec.model_copy(update={"options": {**spec.options, "aux_heads": []}})).eval()
    with torch.no_grad():
        _fill(model, tensors)
        _unfold(model)
    return model


def _fill(model: SegmentationModel, tensors: Mapping[str, Tensor]) -> None:
    """Copies the file's tensors; normalization adds the bias of the convolution and changes nothing else."""
    state = {name: tensor for name, tensor in tensors.items() if name in model.state_dict()}
    for path, module in model.named_modules():
        if isinstance(module, ConvNormAct):
            norm, bias = f"{path}.norm.", tensors[f"{path}.conv.weight_bias"]
            assert isinstance(module.norm, nn.BatchNorm2d)
            state[norm + "weight"] = torch.ones_like(bias)
            state[norm + "bias"] = bias
            state[norm + "running_mean"] = torch.zeros_like(bias)
            state[norm + "running_var"] = torch.full_like(bias, 1 - module.norm.eps)
            state[norm + "num_batches_tracked"] = torch.zeros((), dtype=torch.long)
    model.load_state_dict(state)


def _unfold(model: SegmentationModel) -> None:
    """Gives every normalization the statistics of its inputs, and the scale and shift that keep its outputs."""
    statistics: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        var, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
        statistics[norm] = mean, var

    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    sample = read_image(SAMPLE_IMAGE)
    middle = sample.shape[1] // 2
    # Both halves and their mirror images: four global averages in pyramid pooling instead of one.
    halves = [sample[:, :middle], sample[:, sample.shape[1] - middle :]]
    images = np.stack([*halves, *(half[:, ::-1] for half in halves)])
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (model.spec.mean, model.spec.std))
    model((torch.from_numpy(images).permute(0, 3, 1, 2).float() - mean) / std)
    for hook in hooks:
        hook.remove()
    for norm, (running_mean, running_var) in statistics.items():
        norm.running_mean, norm.running_var = running_mean, running_var
        norm.weight.copy_((running_var + norm.eps).sqrt())
        norm.bias.add_(running_mean)
