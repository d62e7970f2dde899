"""Sound files of other kinds, which people pass for a checkpoint: what each is, and what to do instead."""

from __future__ import annotations

import re
from collections.abc import Collection

from rapidseg.checkpoints.stored_tensor import UnreadableError

_OURS = "RapidSeg reads weights of PyTorch and safetensors"
_PASS = "pass a checkpoint (.pth, .pt or .safetensors)"
_TENSORFLOW = f"is a file of TensorFlow; {_OURS}, so pass a checkpoint of a PyTorch implementation"
_KERAS = f"is an archive of Keras; {_OURS}, so pass a checkpoint of a PyTorch implementation"
_UNPACK = "unpack it and pass the checkpoint in it"

_BEGINNINGS = (
    (b"<", "is a web page or XML, so the download failed; download the file itself"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the file; fetch it with `git lfs pull`"),
    (b"\xff\xd8\xff", f"is a JPEG image, not a checkpoint; {_PASS}"),
    (b"\x89PNG", f"is a PNG image, not a checkpoint; {_PASS}"),
    (b"%PDF", f"is a PDF document, not a checkpoint; {_PASS}"),
    (b'{"', "is JSON text, such as an index of several files or an error message; pass the file of weights itself"),
    (b"{\n", "is JSON text, such as an index of several files or an error message; pass the file of weights itself"),
    (b"\x1f\x8b", f"is a gzip archive; {_UNPACK}"),
    (b"BZh", f"is a bzip2 archive; {_UNPACK}"),
    (b"\xfd7zXZ\x00", f"is an xz archive; {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"is a 7z archive; {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"is a Zstandard archive; {_UNPACK}"),
    (b"Rar!", f"is a RAR archive; {_UNPACK}"),
    (b"\x93NUMPY", "is an array of NumPy, without names; save the weights of a network as safetensors"),
    (b"GGUF", f"is a GGUF file, as llama.cpp reads them; {_OURS}"),
    (b"\x89HDF", f"is an HDF5 file, as Keras writes them; {_OURS}"),
    (b"MATLAB 5.0", f"is a MATLAB file; {_OURS}"),
    (b"\x12\x01\x00\x00\x00\x00\x00\x00", f"is a file of MXNet; {_OURS}"),
    (b"\x08\x01\x12", _TENSORFLOW),  # a SavedModel: schema version 1, then a graph
)
_ONNX = "is an ONNX file, not a checkpoint; pass the checkpoint that it was made from"
_ONNX_VERSIONS = range(3, 32)  # of the format; the field behind it is the producer or the graph
_TABLE_END = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # of the index of a TensorFlow checkpoint
_TENSORFLOW_NAME = re.compile(r"\.data-\d{5}-of-\d{5}$|\.pb$|\.tflite$")
_TAR = (257, b"ustar")  # offset and magic number

_SHOWN = 40  # characters of a text that are quoted
_MIN_TEXT = 8  # characters; fewer may be the start of anything


class OtherKindError(UnreadableError):
    """A sound file of another kind; its text follows the path."""


def reject_other_kind(name: str, start: bytes, end: bytes) -> None:
    """Raises `OtherKindError` for a file whose bytes are those of another kind.

    Args:
        name: of the file.
        start: its first 512 bytes.
        end: its last 8 bytes.
    """
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    for beginning, explanation in _BEGINNINGS:
        if text.startswith(beginning) or start.startswith(beginning):
            raise OtherKindError(explanation)
    offset, magic = _TAR
    if start[offset:].startswith(magic):
        raise OtherKindError(f"is a tar archive; {_UNPACK}")
    if len(start) > 3 and start[0] == 8 and start[1] in _ONNX_VERSIONS and start[2] in (0x12, 0x3A):
        raise OtherKindError(_ONNX)
    if start[4:8] == b"TFL3" or end == _TABLE_END or _TENSORFLOW_NAME.search(name):
        raise OtherKindError(_TENSORFLOW)


def reject_archive(names: Collection[str]) -> None:
    """Raises `OtherKindError` for a zip archive without a pickle of PyTorch.

    Args:
        names: of its entries.
    """
    if names and all(name.endswith(".npy") for name in names):
        raise OtherKindError(
            f"is an archive of NumPy arrays (.npz); {_OURS}. If its arrays have the names of a network's tensors, save "
            "them with safetensors.numpy.save_file"
        )
    if any(name.endswith((".weights.h5", "saved_model.pb")) for name in names):
        raise OtherKindError(_KERAS if any(name.endswith(".h5") for name in names) else _TENSORFLOW)
    raise OtherKindError(f"is a zip archive, not a checkpoint; {_UNPACK}")


def explain_text(start: bytes) -> str | None:
    """Returns what a text is, such as a server's answer, which could not be read as a pickle; None for other bytes."""
    try:
        words = " ".join(start.decode("utf-8").split())
    except UnicodeDecodeError:
        return None
    if len(words) <= _MIN_TEXT or " " not in words or not words.isprintable():
        return None
    return (
        f"it is a text that begins with {words[:_SHOWN]!r}; if that is a server's answer, the download failed: "
        "download the file itself"
    )


def explain_numpy_pickle(opaque: Collection[str]) -> str | None:
    """Returns advice on a pickle whose arrays are NumPy's, as PaddlePaddle writes them; None for others."""
    if not any(name.startswith("numpy") and name.endswith("_reconstruct") for name in opaque):
        return None
    return (
        "its arrays are those of NumPy, as PaddlePaddle (.pdparams) writes them, which only code can read; "
        f"{_OURS}. Pass a checkpoint of a PyTorch implementation, or load the file where it was made and save its "
        "arrays with safetensors.numpy.save_file"
    )


# Names in a pickle of tensors that are not plain ones: what such a tensor is, and how to save a plain one.
_SPECIAL_TENSORS = (
    (r"torch\.serialization\._get_layout|_rebuild_sparse", "a sparse tensor", "tensor.to_dense()"),
    (r"_rebuild_nested_tensor", "a nested tensor", "torch.nested.to_padded_tensor(tensor, 0)"),
    (r"torch\.float[48]_\w+|torch\.Float[48]\w*Storage", "a tensor of 8 bits or fewer", "tensor.float()"),
    (r"torch\.Q\w+Storage|_rebuild_qtensor", "a quantized tensor", "tensor.dequantize()"),
    (r"torch\.(?:conj|neg)", "a view of a complex tensor", "tensor.resolve_conj().resolve_neg()"),
    (r"torch\.nn\.parameter\.Uninitialized\w+", "a parameter without values", "run the network once before saving"),
)


def explain_special_tensor(opaque: Collection[str]) -> str | None:
    """Returns advice on a checkpoint of tensors that are not plain ones, such as sparse ones; None for others."""
    for name in opaque:
        for pattern, kind, remedy in _SPECIAL_TENSORS:
            if re.search(pattern, name):
                return (
                    f"it has {name}, which makes {kind}; RapidSeg reads plain tensors only. Where the file was made, "
                    f"save plain ones: {remedy}"
                )
    return None
