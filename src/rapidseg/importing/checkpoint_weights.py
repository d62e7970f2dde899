"""Finds the sets of weights in a checkpoint, removes wrappers and prefixes, and chooses between two copies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rapidseg.checkpoints import Checkpoint, StoredTensor
from rapidseg.core.errors import ConfigError, ModelFileError
from rapidseg.core.printable import shortened

IsKnown = Callable[[Collection[str]], bool]
"""Tells whether tensor names are those of a known layout."""

# Prefixes of tensor names from DataParallel, torch.compile, Lightning modules and moving averages.
_PREFIXES = ("module", "_orig_mod", "model", "net", "network")
_AVERAGE = re.compile(r"(?:^|[._])(?:ema|swa)(?:[._]|$)")

# Parts of a checkpoint with tensors that are not weights.
_STATE_OF_TRAINING = re.compile(r"optim|sched|scaler|rng|random|callback|loops|message_hub|hyper_parameters")

# In the first part of a tensor's name: of losses and metrics, with or without the split that they are for.
_BESIDE = re.compile(
    r"(?i:loss|criteri|metric|confmat|confusion|jaccard|(?:class|pos)_?weight)|IoU|"
    r"(?i:(?:^|_)m?(?:iou|acc|accuracy|dice|f1|f1_?score|precision|recall)(?:_|\d|$))"
)
_MAX_SKIPPED, _MAX_CLASS_NAME = 3, 60  # skipped classes in a note, and characters of each
_MAX_LISTED = 6  # names in a note
_MAX_PREFIXES = 8  # parts of a prefix
_MAX_DEPTH = 5  # of nested dictionaries; a hostile file may contain itself

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_TALLIES = ("total_ops", "total_params")  # left in every layer by thop, which counts operations


class HasValues(Protocol):
    """A tensor of a file or of PyTorch."""

    def numpy(self) -> np.ndarray:
        """Returns its values."""


@dataclass(frozen=True)
class WeightsCandidate:
    """A set of weights in a checkpoint.

    Attributes:
        where: the keys that lead to it, such as `state_dict`; empty for the file itself.
        averaged: whether it is a moving average of the weights of training.
        state: the tensors, by their names without prefixes.
        beside: those names that had another prefix than most, so that they belong to what surrounds the network.
    """

    where: str
    averaged: bool
    state: dict[str, StoredTensor]
    beside: frozenset[str] = frozenset()


def find_weights(content: Any, is_known: IsKnown, *, path: object) -> list[WeightsCandidate]:
    """Returns every set of tensors in a checkpoint that may be a network's weights.

    Args:
        content: of the file.
        is_known: tells whether tensor names are those of a known network. A prefix of all names is removed until they
            are.
        path: of the file, for messages.

    Raises:
        ModelFileError: a tensor occurs twice, with different values.
    """
    candidates = []
    for keys, tensors in _walk(content, (), set()):
        averaged = _is_averaged(keys, content)
        copies: dict[bool, dict[str, StoredTensor]] = {}
        prefixes: dict[str, str] = {}
        for name, tensor in tensors.items():
            if _is_tally(name, tensor):
                continue
            prefix, bare = _split(name)
            copy = copies.setdefault(averaged or _AVERAGE.search(prefix) is not None, {})
            if bare in copy and not copy[bare].equals(tensor):
                raise ModelFileError(
                    f"{path} has {bare} twice, with and without a prefix, and with different values; save only the "
                    "state_dict of a single network"
                )
            copy[bare] = tensor
            prefixes[bare] = prefix
        for averaged, state in copies.items():
            counts = Counter(prefixes[name] for name in state)
            beside = frozenset(name for name in state if prefixes[name] != counts.most_common(1)[0][0])
            stripped, others = _strip_common(state, is_known)
            candidates += _take_buffered_copy(WeightsCandidate(".".join(keys), averaged, stripped, beside | others))
    return candidates


def choose_weights(
    candidates: list[WeightsCandidate], ema: bool | None, *, path: object, note: Callable[[str], None]
) -> dict[str, StoredTensor]:
    """Returns the tensors of one set of weights.

    Args:
        candidates: the sets to choose from, at least one.
        ema: whether to take the moving average. None: the average if there is one, since training scripts that keep an
            average evaluate and publish it.
        path: of the file, for messages.
        note: told about a choice.

    Raises:
        ConfigError: the file has no such set.
    """
    averaged = [weights for weights in candidates if weights.averaged]
    others = [weights for weights in candidates if not weights.averaged]
    chosen = (averaged or others) if ema is None else averaged if ema else others
    if not chosen:
        has, option = ("no", "--ema (ema=True in Python)") if ema else ("only the", "--no-ema (ema=False in Python)")
        raise ConfigError(f"{path} has {has} moving average of the weights; remove {option}")
    selected = chosen[0]
    rest = others if selected.averaged else averaged
    if ema is None and averaged and others:
        note(
            f"the file has two copies of the weights; RapidSeg uses the moving average ({_key(selected)}), the copy "
            f"that the file's source evaluates. To use the other copy ({_key(others[0])}), pass --no-ema (ema=False in "
            "Python)"
        )
    if len(chosen) > 1:
        note(f"the file has {len(chosen)} networks ({', '.join(map(_key, chosen))}); the first is used")
    state = dict(selected.state)
    if rest:  # many averages hold parameters only and are evaluated with the other copy's statistics
        for name, tensor in rest[0].state.items():
            if name.endswith(_STATISTICS):
                state.setdefault(name, tensor)
    return state


def check_values(state: Mapping[str, HasValues], path: object) -> None:
    """Rejects weights that cannot predict anything.

    Raises:
        ModelFileError: a tensor holds NaN or infinite values.
    """
    broken = [name for name, tensor in state.items() if not np.isfinite(tensor.numpy()).all()]
    if broken:
        raise ModelFileError(
            f"{path}: NaN or infinite values in {len(broken)} of {len(state)} tensors, such as {broken[0]}; the "
            "training that wrote them diverged, or the file is damaged. Use an earlier checkpoint"
        )


def _walk(
    content: Any, keys: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[tuple[str, ...], dict[str, StoredTensor]]]:
    """Yields every dictionary with tensors in it once, and the keys that lead to it; outer dictionaries first."""
    if not isinstance(content, Mapping) or len(keys) > _MAX_DEPTH or id(content) in seen:
        return
    seen.add(id(content))
    tensors = {str(name): value for name, value in content.items() if isinstance(value, StoredTensor)}
    if tensors:
        yield keys, tensors
    for key, value in content.items():
        if isinstance(value, Mapping) and not _STATE_OF_TRAINING.search(str(key)):
            yield from _walk(value, (*keys, str(key)), seen)


def _is_averaged(keys: tuple[str, ...], content: Mapping[str, Any]) -> bool:
    """Tells whether the dictionary at these keys is a moving average.

    Lightning and mmengine save the average as `state_dict`, so that loading that key gives the average, and the weights
    of training elsewhere; mmengine even under `ema_state_dict` (`EMAHook.before_save_checkpoint`).
    """
    swapped: str | None = None
    if "current_model_state" in content:
        swapped = "current_model_state"
    elif isinstance(content.get("ema_state_dict"), Mapping) and "steps" in content["ema_state_dict"]:
        swapped = "ema_state_dict"
    if swapped is not None and keys and "state_dict" in content:
        return keys[0] == "state_dict"
    return any(_AVERAGE.search(key) for key in keys)


def _is_tally(name: str, tensor: StoredTensor) -> bool:
    """Tells a counter of training: a single number beside the network, such as `n_averaged`, or one of thop's."""
    return (tensor.size == 1 and "." not in name.removeprefix("module.")) or name.endswith(_TALLIES)


def _split(name: str) -> tuple[str, str]:
    """Returns the prefixes of a tensor name, and the rest."""
    prefix, rest = "", name
    while True:
        first, dot, behind = rest.partition(".")
        if not dot or not (first in _PREFIXES or _AVERAGE.search(first)):
            return prefix, rest
        prefix, rest = f"{prefix}{first}.", behind


def _strip_common(state: dict[str, StoredTensor], is_known: IsKnown) -> tuple[dict[str, StoredTensor], frozenset[str]]:
    """Removes a prefix that the network's names share, if known names follow it.

    Returns:
        The tensors, and the names without that prefix, such as those of a loss beside the network.
    """
    others: dict[str, StoredTensor] = {}
    stripped = state
    for _ in range(_MAX_PREFIXES):
        if is_known(stripped):
            return {**others, **stripped}, frozenset(others)
        parts: dict[str, dict[str, StoredTensor]] = {}
        for name, tensor in stripped.items():
            first, dot, rest = name.partition(".")
            parts.setdefault(first + dot, {})[rest or name] = tensor
        prefix = max(parts, key=lambda first: (first.endswith("."), len(parts[first])), default="")
        if not prefix.endswith("."):
            break
        others |= {name: tensor for name, tensor in stripped.items() if not name.startswith(prefix)}
        stripped = parts[prefix]
        if not others.keys().isdisjoint(stripped):
            break
    return state, frozenset()


def set_aside(
    state: Mapping[str, StoredTensor],
    candidates: Collection[WeightsCandidate],
    is_own: Callable[[str], bool],
    *,
    note: Callable[[str], None],
) -> dict[str, StoredTensor]:
    """Returns the tensors of a network, without those of losses, metrics and whatever else stands beside it.

    A tensor that the network does not know is passed over only where its name says that it belongs to something else:
    it is not where the network is, or it is called after a loss or a metric. Others may be layers of another network,
    which must be refused.

    Args:
        state: which `choose_weights` returned.
        candidates: that it chose from.
        is_own: tells whether the network has a tensor of that name.
        note: told about tensors that are passed over.
    """
    beside = {name for weights in candidates for name in weights.beside}
    passed = [name for name in state if not is_own(name) and (name in beside or _BESIDE.search(name.partition(".")[0]))]
    if passed:
        more = f" and {len(passed) - _MAX_LISTED} more" if len(passed) > _MAX_LISTED else ""
        note(
            f"{len(passed)} tensors beside the network, such as those of losses and metrics, are not used: "
            f"{', '.join(passed[:_MAX_LISTED])}{more}"
        )
    return {name: tensor for name, tensor in state.items() if name not in set(passed)}


def _take_buffered_copy(weights: WeightsCandidate) -> list[WeightsCandidate]:
    """Splits the two copies that mmcv's `EMAHook` keeps in one dictionary.

    The second copy is in buffers of the network, such as `ema_backbone_conv1_weight`. Both are swapped for evaluation
    and before an epoch's weights are saved, so the plain names hold the average; and the source loads those in any
    case.
    """
    buffers = {"ema_" + name.replace(".", "_"): name for name in weights.state}
    copy = {buffers[name]: tensor for name, tensor in weights.state.items() if name in buffers}
    if not copy:
        return [weights]
    plain = {name: tensor for name, tensor in weights.state.items() if name not in buffers}
    return [
        WeightsCandidate(weights.where, True, plain, weights.beside),
        WeightsCandidate(f"{weights.where}, buffers ema_*".removeprefix(", "), False, copy),
    ]


def _key(weights: WeightsCandidate) -> str:
    return weights.where or "the file itself"


def note_skipped(checkpoint: Checkpoint, note: Callable[[str], None]) -> None:
    """Says which values beside the weights were not read, by their classes; nothing where all were read.

    Args:
        checkpoint: the file.
        note: called with a sentence.
    """
    names = [shortened(name, _MAX_CLASS_NAME) for name in checkpoint.opaque]
    if names:
        more = f" and {len(names) - _MAX_SKIPPED} more" if len(names) > _MAX_SKIPPED else ""
        listed = ", ".join(names[:_MAX_SKIPPED])
        note(f"{checkpoint.path}: skipped what only code could read: {listed}{more}; the weights do not need it")
