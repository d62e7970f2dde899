"""Advice where most images of a data set have no mask: how the masks are named instead."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from rapidseg.core.errors import DatasetError
from rapidseg.data.annotation_files import ANNOTATION_SUFFIXES, describe_annotations
from rapidseg.data.layouts.pairing import walk_files

_MAX_COMPARED = 20  # images whose masks are looked for
_MIN_SHARE = 0.5  # of these images, for which a rule must find the masks
_NUMBERED = re.compile(r"([^0-9]*)([0-9].*)")


def missing_masks_advice(images: Mapping[str, Path], masks: Path, mask_suffix: str, root: Path) -> str | None:
    """Returns how masks could be named that were not found; None if that is not known.

    Args:
        images: without masks, by key: their paths below the folder of images, without suffix.
        masks: the folder of the masks.
        mask_suffix: how names of masks were expected to end.
        root: folder that lists of pairs are relative to.
    """
    try:
        files = [path.relative_to(masks).as_posix() for path in walk_files(masks)]
    except DatasetError:
        return None
    if not files:
        return f"{masks} is empty; correct `masks`"
    compared = [PurePosixPath(key) for key in list(images)[:: 1 + len(images) // _MAX_COMPARED]]
    rules = [_rules(key, files) for key in compared]
    counts = Counter(rule for found in rules for rule in found)
    if counts:
        rule, count = counts.most_common(1)[0]
        if count >= _MIN_SHARE * len(compared):
            key, mask = next((key, found[rule]) for key, found in zip(compared, rules, strict=True) if rule in found)
            if PurePosixPath(mask).suffix.lower() in ANNOTATION_SUFFIXES:
                return describe_annotations([masks / mask])
            line = f"{_relative(images[str(key)], root)} {_relative(masks / mask, root)}"
            return _explain(*rule, key, f"{masks} contains {mask} for the image {key}", line, mask_suffix)
    return describe_annotations([masks / file for file in files])


def _rules(key: PurePosixPath, files: Sequence[str]) -> dict[tuple[str, str], str]:
    """Returns the rules by which a file may be the mask of an image, and that file: suffix, prefix or folder."""
    rules = {}
    numbered = _NUMBERED.fullmatch(key.name)
    for file in files:
        path = PurePosixPath(file)
        if path.parent == key.parent:
            other = _NUMBERED.fullmatch(path.stem)
            if path.name.startswith(key.name):
                rules["suffix", path.name[len(key.name) :]] = file
            elif path.stem.endswith(key.name):
                rules["prefix", path.stem[: -len(key.name)]] = file
            elif numbered and other and numbered[1] and other[2] == numbered[2]:
                rules["exchanged", f"{numbered[1]} {other[1]}"] = file
        elif path.stem == key.name:
            rules["folder", ""] = file
    return rules


def _explain(kind: str, text: str, key: PurePosixPath, found: str, line: str, mask_suffix: str) -> str:
    if kind == "suffix":
        return f"{found}; write `mask_suffix: {text}`"
    pairs = f"list pairs of files: `list: pairs.txt` in place of `images` and `masks`, with lines such as `{line}`"
    rename = f"rename the masks to {key.name}{mask_suffix} and so on, or {pairs}"
    if kind == "prefix":
        return f"{found}: masks have the prefix {text!r}; {rename}"
    if kind == "exchanged":
        own, other = text.split(" ", 1)
        return f"{found}: images are named {own}..., but masks {other}...; {rename}"
    return f"{found}: masks need the folders of their images below `masks`; correct `images` and `masks`, or {pairs}"


def _relative(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
