"""`push_model`: uploads a model to the Hugging Face Hub, from where `hf://OWNER/NAME` loads it."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidseg.core.arguments import check_path
from rapidseg.core.errors import InputError, ModelFileError, RapidSegError
from rapidseg.core.extras import require_extra
from rapidseg.core.import_errors import explained_imports
from rapidseg.core.model_card import CARD_NAME, SPEC_NAME, model_card
from rapidseg.core.progress import SILENT, Progress, counter
from rapidseg.core.quiet import quiet_libraries
from rapidseg.core.report import Report
from rapidseg.core.spec import ModelSpec
from rapidseg.workflows.arguments import FLAG, TEXT, checked
from rapidseg.workflows.model_cache import PRETRAINED_WEIGHTS

_MODEL_FILE = "model.onnx"  # the name on the Hub
_NOT_LEARNED = ("running_mean", "running_var", "num_batches_tracked")
_REPOSITORY = re.compile(r"[A-Za-z0-9_](?:[\w.-]*\w)?/[A-Za-z0-9_](?:[\w.-]*\w)?", re.ASCII)
# Errors of the libraries that send requests for huggingface_hub; which of them depends on its version.
_CONNECTION_MODULES = ("huggingface_hub", "requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2")


@dataclass(frozen=True)
class PushReport(Report):
    """A model that was uploaded.

    Attributes:
        address: what `rapidseg.load` takes, such as `hf://OWNER/NAME`.
        url: the model's page.
        commit: ID of the commit.
        files: what was uploaded, by names on the Hub.
        size_bytes: size of the model.
        spec: the model's specification.
    """

    address: str
    url: str
    commit: str
    files: tuple[str, ...]
    size_bytes: int
    spec: ModelSpec

    def headline(self) -> str:
        return f"{self.address}, {self.size_bytes / 1e6:.1f} MB; {self.url}"

    def to_dict(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        return {
            "address": self.address,
            "url": self.url,
            "commit": self.commit,
            "files": list(self.files),
            "size_bytes": self.size_bytes,
            "spec": self.spec.model_dump(mode="json"),
        }


@checked("model", "progress", repository=TEXT, private=FLAG, message=TEXT)
def push_model(
    model: str | os.PathLike[str],
    repository: str,
    *,
    private: bool = False,
    message: str | None = None,
    progress: Progress = SILENT,
) -> PushReport:
    """Uploads a model with a model card, which is made of its specification, in one commit.

    The repository is created if it does not exist. A model and a model card that are there are replaced. The token is
    `HF_TOKEN`, or the one that `hf auth login` stored; `HF_ENDPOINT` names another server.

    Args:
        model: a checkpoint of RapidSeg (.safetensors), a folder that `SegmentationModel.save_pretrained` wrote, or a
            model file (.onnx).
        repository: `OWNER/NAME`.
        private: whether only its owner may see a repository; one that exists must be private already.
        message: of the commit; None: the architecture.
        progress: watches the upload.

    Raises:
        InputError: `repository` has another form.
        ModelFileError: the model is missing, damaged, or not one of RapidSeg.
        DependencyError: huggingface_hub is not installed.
        RapidSegError: the upload fails or is not allowed, or downloads and uploads are off (`RAPIDSEG_OFFLINE`).
    """
    name = repository.removeprefix("hf://")
    if not _REPOSITORY.fullmatch(name) or ".." in name:
        raise InputError(f"{repository!r} is not a repository on the Hugging Face Hub; pass OWNER/NAME")
    require_extra("hub")
    from rapidseg.importing.kept_files import offline_reason

    reason = offline_reason(False)
    if reason is not None:
        raise RapidSegError(f"{repository}: uploads are off ({reason}); unset RAPIDSEG_OFFLINE to upload")
    path = Path(check_path("model", model))
    if path.is_dir() and (path / PRETRAINED_WEIGHTS).is_file():
        path = path / PRETRAINED_WEIGHTS
    spec, num_parameters = _read_model(path)
    target = _MODEL_FILE if path.suffix.lower() == ".onnx" else PRETRAINED_WEIGHTS
    address = f"hf://{name}"
    card = model_card(
        spec, num_parameters, source=address, has_weights=target == PRETRAINED_WEIGHTS, for_hub=True
    ).encode()
    files: dict[str, Path | bytes] = {
        target: path,
        SPEC_NAME: (spec.model_dump_json(indent=2) + "\n").encode(),
        CARD_NAME: card,
    }
    size_bytes = path.stat().st_size
    uploading = counter(progress, f"uploading {path.name}", unit="bytes")
    uploading(0, size_bytes)
    url, commit = _upload(name, files, private=private, message=message or f"Upload {spec.architecture}")
    uploading(size_bytes, size_bytes)
    return PushReport(address, url, commit, tuple(files), size_bytes, spec)


def _read_model(path: Path) -> tuple[ModelSpec, int | None]:
    """Returns the specification of a model of ours, checked, and the number of learned values if the file tells it."""
    if path.suffix.lower() == ".onnx":
        from rapidseg.runtime.model_file import read_spec

        spec = read_spec(path)
        if spec.output != "logits":
            raise InputError(
                f"{path} returns class maps, so rapidseg.load would refuse it; pass the model that it was exported from"
            )
        return spec, None
    from rapidseg.importing import recognize_checkpoint

    if not path.exists():
        raise ModelFileError(f"{path}: no such file; pass a checkpoint (.safetensors) or a model file (.onnx)")
    found = recognize_checkpoint(path)
    if found.spec is None:
        raise ModelFileError(
            f"{path} is a checkpoint of another program, without a specification; import it, and pass the new file: "
            f"rapidseg import {path} -o {path.stem}.safetensors"
        )
    learned = (tensor for name, tensor in found.state.items() if not name.endswith(_NOT_LEARNED))
    return found.spec, sum(math.prod(tensor.shape) for tensor in learned)


def _upload(name: str, files: dict[str, Path | bytes], *, private: bool, message: str) -> tuple[str, str]:
    """Uploads files in one commit; returns the page of the repository and the ID of the commit."""
    from rapidseg.importing.hub_address import hub_endpoint, hub_token

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # else every request lists the versions of other packages
    with explained_imports("hub"):
        from huggingface_hub import CommitOperationAdd, HfApi
        from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    endpoint = hub_endpoint()
    page = f"{endpoint}/{name}"
    shows_bars = not are_progress_bars_disabled()
    if shows_bars:
        disable_progress_bars()  # the caller's `progress` shows the upload
    try:
        with quiet_libraries():
            api = HfApi(endpoint=endpoint, token=hub_token())
            api.create_repo(name, private=private or None, exist_ok=True)
            if private and not api.repo_info(name).private:
                raise RapidSegError(
                    f"{page} is public, so --private (private=True) cannot hold; nothing was uploaded. Make it private "
                    "in its settings, or push without it"
                )
            operations = [
                CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
                for path, content in files.items()
            ]
            commit = api.create_commit(name, operations, commit_message=message)
    except RapidSegError:
        raise
    except Exception as error:  # of its own types, and those of several libraries below it
        raise _explained(error, name, endpoint) from error
    finally:
        if shows_bars:
            enable_progress_bars()
    return page, str(commit.oid)


def _explained(error: Exception, name: str, endpoint: str) -> Exception:
    """Returns the error for users, or an error that is not about the upload as it is."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    tokens = f"{endpoint}/settings/tokens"
    if status == 401:
        return RapidSegError(
            f"{name}: uploads need a token; create one that may write ({tokens}), and set HF_TOKEN to it (HTTP 401)"
        )
    if status in (403, 404):
        owner = name.partition("/")[0]
        return RapidSegError(
            f"{name}: the token may not write there; pass a repository of your own instead of {owner}'s, or a token "
            f"that may ({tokens}) in HF_TOKEN (HTTP {status})"
        )
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    if status is not None:
        return RapidSegError(f"{name}: {endpoint} does not accept the upload (HTTP {status}): {text}")
    if isinstance(error, (OSError, RuntimeError, ValueError)) or (
        type(error).__module__.partition(".")[0] in _CONNECTION_MODULES
    ):
        return RapidSegError(f"{name}: the upload to {endpoint} failed ({text}); check the network and run it again")
    return error
