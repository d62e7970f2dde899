"""Copies weights into a network where they fit, and records which were used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from rapidseg.core.errors import ModelFileError
from rapidseg.core.spec import ModelSpec
from rapidseg.models import SegmentationModel
from rapidseg.models.layers import ConvNormAct

RGB = tuple[float, float, float]


class WeightsUse(BaseModel):
    """What of a file's weights a network starts from.

    Attributes:
        source: the file, URL or name that the user passed.
        used: tensors of the network that were copied.
        kept_random: tensors of the network that keep their random start.
        unused: tensors of the file that were not copied, and why.
        mean, std: normalization that the copied first layer expects, as in `ModelSpec`; None leaves the network's own.
        trained_on: what the weights were trained on, as in `ModelSpec`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    used: tuple[str, ...]
    kept_random: tuple[str, ...]
    unused: dict[str, str]
    mean: RGB | None = None
    std: RGB | None = None
    trained_on: tuple[str, ...] = ()

    def updated(self, spec: ModelSpec) -> ModelSpec:
        """Returns a network's specification with what the weights bring along: normalization and training data."""
        changes: dict[str, object] = {"trained_on": tuple(dict.fromkeys((*self.trained_on, *spec.trained_on)))}
        if self.mean is not None and self.std is not None:
            changes |= {"mean": self.mean, "std": self.std}
        return spec.model_copy(update=changes)

    def summary(self) -> str:
        """Returns one sentence: how many tensors were used, and which were not, grouped by module."""
        parts = [f"{len(self.used)} of {len(self.used) + len(self.kept_random)} tensors start from {self.source}"]
        if self.kept_random:
            parts.append(f"random start: {_grouped(map(_module_of, self.kept_random))}")
        if self.unused:
            reasons = (f"{_module_of(name)}, {reason}" for name, reason in self.unused.items())
            parts.append(f"not used from the file: {_grouped(reasons)}")
        return "; ".join(parts)


def copy_weights(
    model: SegmentationModel,
    state: Mapping[str, Tensor],
    *,
    source: str,
    excluded: Mapping[str, str],
    mean: RGB,
    std: RGB,
    trained_on: tuple[str, ...] = (),
) -> WeightsUse:
    """Copies tensors into a network by name, where name and shape fit; the others keep their values.

    A convolution and its normalization are copied together or not at all: the statistics of one convolution's outputs
    mean nothing to another.

    Args:
        model: the network; it is changed only if something fits.
        state: the tensors, by the network's names.
        source: the file, URL or name that the user passed.
        excluded: names of tensors that must not be copied, and why.
        mean, std: normalization that the weights expect.
        trained_on: what the weights were trained on.

    Raises:
        ModelFileError: nothing fits.
    """
    expected = model.state_dict()
    unused = dict(excluded)
    for name, tensor in state.items():
        reason = _misfit(tensor, expected.get(name))
        if reason is not None:
            unused.setdefault(name, reason)
    fitting = {name: tensor for name, tensor in state.items() if name not in unused}
    for path, module in model.named_modules():
        if isinstance(module, ConvNormAct) and f"{path}.conv.weight" not in fitting:
            for name in [name for name in fitting if name.startswith(f"{path}.")]:
                del fitting[name]
                unused[name] = "its convolution is not used"
    if not any(expected[name].is_floating_point() for name in fitting):  # counters alone fit every network
        raise ModelFileError(
            f"{source}: none of its {len(state)} tensors fits {model.spec.architecture} with these options "
            f"({_grouped(f'{_module_of(name)}, {reason}' for name, reason in unused.items())}); pass weights of the "
            "same network"
        )
    model.load_state_dict(fitting, strict=False)
    first_is_used = next(iter(expected)) in fitting
    return WeightsUse(
        source=source,
        used=tuple(name for name in expected if name in fitting),
        kept_random=tuple(name for name in expected if name not in fitting),
        unused=unused,
        mean=mean if first_is_used else None,
        std=std if first_is_used else None,
        trained_on=trained_on,
    )


def _misfit(tensor: Tensor, expected: Tensor | None) -> str | None:
    """Returns why a tensor does not fit, or None if it does."""
    if expected is None:
        return "no such tensor in the network"
    if tensor.shape != expected.shape:
        return "another shape"
    if tensor.is_complex() or tensor.is_floating_point() != expected.is_floating_point():
        return "another dtype"
    return None


def _module_of(name: str) -> str:
    """Returns the part of the network that a tensor belongs to; of a backbone, its layer."""
    names = name.split(".")
    return ".".join(names[: 2 if names[0] == "backbone" else 1])


def _grouped(texts: Iterable[str]) -> str:
    """Returns each text once, with its count."""
    return ", ".join(f"{text} ({count})" for text, count in Counter(texts).items())
