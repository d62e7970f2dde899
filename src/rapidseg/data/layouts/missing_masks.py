"""Advice where most images of a data set have no mask: how the masks are named instead."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from rapidseg.core.errors import DatasetError
from rapidseg.data.annotation_files import describe_annotations
from rapidseg.data.layouts.pairing import walk_files

_MAX_COMPARED = 20  # images whose masks are looked for
_MIN_SHARE = 0.5  # of these images, for which a rule must find the masks
_NUMBERED = re.compile(r"([^0-9]*)([0-9].*)")


def missing_masks_advice(keys: Sequence[str], images: Path, masks: Path, mask_suffix: str) -> str | None:
    """Returns how masks could be named that were not found; None if that is not known.

    Args:
        keys: of images without masks: their paths below `images`, without suffix.
        images: the folder of the images.
        masks: the folder of the masks.
        mask_suffix: how names of masks were expected to end.
    """
    try:
        files = [path.relative_to(masks).as_posix() for path in walk_files(masks)]
    except DatasetError:
        return None
    if not files:
        return f"{masks} is empty; correct `masks`"
    compared = [PurePosixPath(key) for key in keys[:: 1 + len(keys) // _MAX_COMPARED]]
    rules = Counter(rule for key in compared for rule in _rules(key, files))
    if rules:
        (kind, text), count = rules.most_common(1)[0]
        if count >= _MIN_SHARE * len(compared):
            return _explain(kind, text, compared[0], images, masks, files, mask_suffix)
    annotations = describe_annotations([masks / file for file in files])
    if annotations is not None:
        return annotations
    return None


def _rules(key: PurePosixPath, files: Sequence[str]) -> set[tuple[str, str]]:
    """Returns the rules that lead from an image to one of the files: a suffix, a prefix, or another folder."""
    rules = set()
    numbered = _NUMBERED.fullmatch(key.name)
    for file in files:
        path = PurePosixPath(file)
        if path.parent == key.parent:
            if path.name.startswith(key.name):
                rules.add(("suffix", path.name[len(key.name) :]))
            elif path.stem.endswith(key.name):
                rules.add(("prefix", path.stem[: -len(key.name)]))
            elif numbered and numbered[1]:
                other = _NUMBERED.fullmatch(path.stem)
                if other and other[2] == numbered[2]:
                    rules.add(("exchanged", f"{numbered[1]} {other[1]}"))
        elif path.stem == key.name:
            rules.add(("folder", ""))
    return rules


def _explain(
    kind: str, text: str, key: PurePosixPath, images: Path, masks: Path, files: Sequence[str], mask_suffix: str
) -> str | None:
    if kind == "suffix":
        if PurePosixPath(f"x{text}").suffix.lower() in (".json", ".xml", ".txt"):
            return describe_annotations([masks / f"{key}{text}"])
        return f"{masks} contains {key.name}{text}; write `mask_suffix: {text}`"
    pairs = f"list pairs instead: `list: pairs.txt` with lines such as `{images.name}/IMAGE {masks.name}/MASK`"
    if kind == "prefix":
        return (
            f"the masks are named with the prefix {text!r}, such as {text}{key.name}; rename them to "
            f"{key.name}{mask_suffix} and so on, or {pairs}"
        )
    if kind == "exchanged":
        own, other = text.split(" ", 1)
        return (
            f"images are named {own}..., but masks {other}...; rename the masks to {key.name}{mask_suffix} and so on, "
            f"or {pairs}"
        )
    example = next(file for file in files if PurePosixPath(file).stem == key.name)
    return (
        f"{masks} contains {example} for the image {key}; masks need the folders of their images below `masks`: "
        f"correct `images` and `masks`, or {pairs}"
    )
