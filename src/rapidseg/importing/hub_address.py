"""Addresses of models on the Hugging Face Hub (`hf://OWNER/NAME`), and the user's settings for the Hub."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from rapidseg.core.errors import InputError

DEFAULT_REVISION = "main"

_SCHEME = "hf://"
_NAME = r"[A-Za-z0-9_](?:[\w.-]*\w)?"
# Revisions with a slash are those of pull requests and conversions; in others the slash is written %2F.
_ADDRESS = re.compile(
    rf"(?:models/)?(?P<repository>{_NAME}/{_NAME})(?:@(?P<revision>refs/(?:pr|convert)/[^/@]+|[^/@]+))?(?:/(?P<file>.+))?",
    re.ASCII,
)
_OTHER_KINDS = ("datasets", "spaces", "kernels", "buckets")
_FORMS = "hf://OWNER/NAME, hf://OWNER/NAME@REVISION or hf://OWNER/NAME/FILE"


@dataclass(frozen=True)
class HubAddress:
    """A model on the Hub.

    Attributes:
        repository: `OWNER/NAME`.
        revision: a branch, a tag or a commit.
        file: its path in the repository; None: the file is chosen.
    """

    repository: str
    revision: str
    file: str | None

    @property
    def is_fixed(self) -> bool:
        """Whether the revision is a commit, whose files never change."""
        return re.fullmatch(r"[0-9a-f]{40}", self.revision) is not None

    @property
    def stem(self) -> str:
        """The base name of files that are made from the model: the name of its file, or else of the repository."""
        return Path(self.file).stem if self.file else self.repository.partition("/")[2]

    def __str__(self) -> str:
        """Returns the address in its shortest form."""
        revision = "" if self.revision == DEFAULT_REVISION else f"@{quote(self.revision, safe='')}"
        return f"{_SCHEME}{self.repository}{revision}" + (f"/{self.file}" if self.file else "")


def is_hub_address(source: str) -> bool:
    """Tells whether a text is an address on the Hugging Face Hub, valid or not."""
    return source[: len(_SCHEME)].lower() == _SCHEME


def parse_hub_address(source: str) -> HubAddress:
    """Returns the parts of `hf://OWNER/NAME[@REVISION][/FILE]`.

    Raises:
        InputError: it has another form.
    """
    text = source[len(_SCHEME) :].rstrip("/")
    match = _ADDRESS.fullmatch(text)
    if match is None or text.partition("/")[0] in _OTHER_KINDS or ".." in match["repository"]:
        raise InputError(f"{source} is not the address of a model on the Hugging Face Hub; write {_FORMS}")
    file = match["file"]
    if file is not None and any(part in ("", ".", "..") or "\\" in part for part in file.split("/")):
        raise InputError(f"{source}: {file} is not a path in a repository; write {_FORMS}")
    return HubAddress(match["repository"], unquote(match["revision"] or DEFAULT_REVISION), file)


def hub_endpoint() -> str:
    """Returns the URL of the Hub, without a slash at the end: `HF_ENDPOINT`, else https://huggingface.co.

    Raises:
        InputError: the variable is not an `http` or `https` URL.
    """
    endpoint = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or "https://huggingface.co"
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise InputError(f"HF_ENDPOINT is {endpoint!r}; set it to a URL such as https://huggingface.co")
    return endpoint


def hub_token() -> str | None:
    """Returns the user's token: `HF_TOKEN`, else the file that `hf auth login` writes; None if there is none.

    Raises:
        InputError: it has characters that no token has.
    """
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        try:
            token = _token_file().read_text(encoding="utf-8").strip()
        except (OSError, ValueError, RuntimeError):  # no such file, not a text, no home folder
            return None
    if token and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise InputError(
            "the token for the Hugging Face Hub has a space or another character that no token has; set HF_TOKEN to "
            "the token alone"
        )
    return token or None


def _token_file() -> Path:
    chosen = os.environ.get("HF_TOKEN_PATH")
    if chosen:
        return Path(chosen).expanduser()
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home).expanduser() / "token"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "token"
