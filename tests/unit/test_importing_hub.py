"""Weights from the Hugging Face Hub, for which a server of our own stands."""

import hashlib
import json
from pathlib import Path

import pytest

from rapidseg.core.errors import InputError, ModelFileError, RapidSegError
from rapidseg.importing import fetch, find_checkpoint, hub, is_url, kept_download, transfer
from rapidseg.importing.hub_address import HubAddress, hub_token, parse_hub_address
from rapidseg.importing.recognition import resolve_name
from rapidseg.workflows.model_cache import is_checkpoint
from rapidseg.workflows.sources import output_path
from tests.support.web_server import Site, serve

CONTENT = bytes(range(256)) * 400
OTHER = CONTENT[::-1]
TREE = "/api/models/ada/streets/tree/main?recursive=true"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def environment(tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "HF_TOKEN_PATH", "RAPIDSEG_OFFLINE", "RAPIDSEG_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "WAIT_S", 0.0)
    return tmp_path


@pytest.fixture
def site(environment, monkeypatch):
    with serve(Site()) as site:
        monkeypatch.setenv("HF_ENDPOINT", site.url + "/")
        publish(site, {"model.safetensors": CONTENT, "old/model.pth": OTHER, "README.md": b"# streets"})
        yield site


@pytest.fixture(autouse=True)
def any_content_is_weights(monkeypatch):
    monkeypatch.setattr(transfer, "why_not_weights", lambda path, name: None)


def publish(site, files, revision="main", *, lfs=True):
    """Puts files where the Hub has them: in the list of a revision, and at their addresses."""
    entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "old"}]
    for path, content in files.items():
        entry = {"type": "file", "oid": hashlib.sha1(content).hexdigest(), "size": len(content), "path": path}
        if lfs and not path.endswith(".md"):
            digits = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": digits, "size": len(content), "pointerSize": 134}
        entries.append(entry)
        site.files[f"/ada/streets/resolve/{revision}/{path}"] = content
    site.files[f"/api/models/ada/streets/tree/{revision}?recursive=true"] = json.dumps(entries).encode()


def asked(site):
    return [path for path, _ in site.asked]


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("hf://ada/streets", HubAddress("ada/streets", "main", None), "hf://ada/streets"),
        ("hf://ada/streets/", HubAddress("ada/streets", "main", None), "hf://ada/streets"),
        ("HF://models/ada/streets@v1.0", HubAddress("ada/streets", "v1.0", None), "hf://ada/streets@v1.0"),
        ("hf://a-d.a/st_reets-2.0/x/y.pth", HubAddress("a-d.a/st_reets-2.0", "main", "x/y.pth"), None),
        ("hf://ada/streets@refs/pr/3/a.pth", HubAddress("ada/streets", "refs/pr/3", "a.pth"), None),
        ("hf://ada/streets@new%2Fidea/a.pth", HubAddress("ada/streets", "new/idea", "a.pth"), None),
    ],
)
def test_addresses(text, address, shown):
    assert parse_hub_address(text) == address
    assert parse_hub_address(str(address)) == address
    assert shown is None or str(address) == shown
    assert is_url(text)
    assert resolve_name(text) == text
    assert is_checkpoint(text)


@pytest.mark.parametrize(
    "text",
    [
        "hf://",
        "hf://ada",
        "hf:///streets",
        "hf://ada/streets@",
        "hf://datasets/ada/streets",
        "hf://ada/../streets",
        "hf://ada/streets/../../etc/passwd",
        "hf://ada/streets/a\\b.pth",
        "hf://ada/streets//a.pth",
        "hf://ada/str eets",
        "hf://ada/streets?x=1",
    ],
)
def test_other_addresses_are_refused(text, environment):
    with pytest.raises(InputError, match=r"; write hf://OWNER/NAME, hf://OWNER/NAME@REVISION or hf://OWNER/NAME/FILE"):
        fetch(text)


def test_the_weights_are_found_in_one_request_and_fetched_with_their_hash(site, environment):
    seen = []
    path = find_checkpoint("hf://ada/streets", progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert path.parent == environment / "cache" / "downloads"
    assert path.name.endswith("-model.safetensors")
    assert asked(site) == [TREE, "/ada/streets/resolve/main/model.safetensors"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert find_checkpoint("hf://ada/streets") == path
    assert asked(site)[2:] == [TREE]  # only whether it has changed
    assert site.authorizations == [None] * 3


def test_a_file_that_changed_on_the_hub_is_downloaded_again(site):
    path = fetch("hf://ada/streets")
    publish(site, {"model.safetensors": OTHER})
    notes = []
    assert fetch("hf://ada/streets", note=notes.append) == path
    assert path.read_bytes() == OTHER
    assert "is not used: its SHA-256 is" in notes[0]


def test_a_file_and_a_revision_may_be_named(site):
    publish(site, {"best.pth": OTHER}, revision="v1")
    publish(site, {"a b.pth": OTHER}, revision="new%2Fidea")
    site.files["/ada/streets/resolve/new%2Fidea/a%20b.pth"] = OTHER
    assert fetch("hf://ada/streets/old/model.pth").read_bytes() == OTHER
    assert fetch("hf://ada/streets@v1").read_bytes() == OTHER
    assert fetch("hf://ada/streets@new%2Fidea/a b.pth").read_bytes() == OTHER
    with pytest.raises(RapidSegError, match=r"@v1/bets\.pth: no such file \(did you mean 'best\.pth'\?\); the repos"):
        fetch("hf://ada/streets@v1/bets.pth")


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["a.safetensors", "model.safetensors", "b.pth"], "model.safetensors"),
        (["a.pth", "x/a.safetensors", "b.bin"], "x/a.safetensors"),
        (["config.json", "a.onnx", "pytorch_model.BIN"], "pytorch_model.BIN"),
        (["a.ckpt"], "a.ckpt"),
        (["README.md", "model.onnx"], "model.onnx"),
    ],
)
def test_the_choice_of_the_file(names, chosen):
    files = [hub.HubFile(name) for name in names]
    assert hub.choose_file(parse_hub_address("hf://ada/streets"), files).path == chosen


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["a.safetensors", "b.safetensors", "c.pth"],
            "hf://ada/streets has several files of weights: a.safetensors, b.safetensors; name one, such as "
            "hf://ada/streets/a.safetensors",
        ),
        (
            ["README.md"],
            "hf://ada/streets has no file of weights (.safetensors, .pth, .bin, .pt, .ckpt, .onnx); it has: README.md",
        ),
        ([], "hf://ada/streets has no file of weights (.safetensors, .pth, .bin, .pt, .ckpt, .onnx); it has: nothing"),
        (
            [f"{index}.pth" for index in range(14)],
            "hf://ada/streets has several files of weights: "
            f"{', '.join(f'{index}.pth' for index in range(12))} and 2 more; name one, such as hf://ada/streets/0.pth",
        ),
    ],
)
def test_no_choice_lists_the_files(names, message):
    with pytest.raises(RapidSegError) as caught:
        hub.choose_file(parse_hub_address("hf://ada/streets"), [hub.HubFile(name) for name in names])
    assert str(caught.value) == message


def test_a_break_is_resumed_and_a_wrong_content_is_refused(site):
    def list_then_break(handler):
        content = site.files[TREE]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        site.breaks = [50_000]  # of the request that follows
        handler.wfile.write(content)

    site.answers[TREE] = list_then_break
    assert fetch("hf://ada/streets").read_bytes() == CONTENT
    assert site.asked[-1] == ("/ada/streets/resolve/main/model.safetensors", "bytes=50000-")
    site.answers.clear()
    site.breaks = []
    publish(site, {"model.safetensors": OTHER})
    site.files["/ada/streets/resolve/main/model.safetensors"] = b"wrong"
    with pytest.raises(RapidSegError, match=r"which does not begin with .*; it was deleted"):
        fetch("hf://ada/streets")


def test_a_hash_of_the_user_is_compared_before_the_download(site):
    digits = hashlib.sha256(CONTENT).hexdigest()
    assert fetch("hf://ada/streets", sha256=digits[:8]).read_bytes() == CONTENT
    with pytest.raises(RapidSegError, match=r"the SHA-256 of old/model\.pth is [0-9a-f]+, which does not begin with "):
        fetch("hf://ada/streets/old/model.pth", sha256=digits)
    assert asked(site)[-1] == TREE


def test_a_file_outside_of_large_file_storage_is_checked_by_its_size(site):
    publish(site, {"model.safetensors": CONTENT}, lfs=False)
    site.files["/ada/streets/resolve/main/model.safetensors"] = CONTENT[:-1]
    with pytest.raises(RapidSegError, match=f"has {len(CONTENT) - 1} bytes instead of {len(CONTENT)}; it was deleted"):
        fetch("hf://ada/streets")


def test_long_lists_come_in_pages(site):
    pages = iter([[{"type": "file", "path": "a.txt", "size": 1}], [{"type": "file", "path": "model.pth", "size": 1}]])

    def page(handler):
        content = json.dumps(next(pages)).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        if "cursor" not in handler.path:
            handler.send_header("Link", f'<{site.url}{TREE}&cursor=2>; rel="next"')
        handler.end_headers()
        handler.wfile.write(content)

    site.answers |= {TREE: page, f"{TREE}&cursor=2": page}
    files = hub.list_files(parse_hub_address("hf://ada/streets"))
    assert [file.path for file in files] == ["a.txt", "model.pth"]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'[{"type": "file"}]', b"[" * 100_000, b'{"error": "x"}'])
def test_an_answer_that_is_not_a_list_is_said(content, site):
    site.files[TREE] = content
    with pytest.raises(RapidSegError, match="the answer is not a list of files; check HF_ENDPOINT"):
        hub.list_files(parse_hub_address("hf://ada/streets"))


def test_names_with_control_characters_are_skipped(site):
    publish(site, {"\x1b[2J.pth": OTHER, "model.pth": CONTENT})
    assert fetch("hf://ada/streets").read_bytes() == CONTENT


def test_the_token_is_sent_to_the_hub_and_never_to_another_host(site, environment, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", " hf_secret\n")
    monkeypatch.setenv("NETRC", str(environment / "netrc"))
    (environment / "netrc").write_text("machine 127.0.0.1 login ada password other\n")
    path = "/ada/streets/resolve/main/model.safetensors"
    with serve(Site({"/stored": CONTENT})) as storage:
        (environment / "netrc").write_text("")
        site.redirects[path] = storage.url + "/stored"
        assert fetch("hf://ada/streets").read_bytes() == CONTENT
    assert site.authorizations == ["Bearer hf_secret"] * 2
    assert storage.authorizations == [None]
    site.redirects.clear()
    site.redirects["/ada/streets/resolve/main/old/model.pth"] = "/moved"
    site.files["/moved"] = OTHER
    fetch("hf://ada/streets/old/model.pth")
    assert site.authorizations[-1] == "Bearer hf_secret"  # a redirect on the Hub itself keeps it
    site.files["/a.pth"] = OTHER
    fetch(site.url + "/a.pth")
    assert site.authorizations[-1] is None  # only hf:// addresses send it


def test_netrc_does_not_replace_the_token(site, environment, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("NETRC", str(environment / "netrc"))
    (environment / "netrc").write_text("machine 127.0.0.1 login ada password other\n")
    fetch("hf://ada/streets")
    assert site.authorizations == ["Bearer hf_secret"] * 2


def test_the_token_is_found_where_the_hubs_own_tools_keep_it(environment, monkeypatch):
    assert hub_token() is None
    (environment / "hf").mkdir()
    (environment / "hf" / "token").write_text("from_home\n")
    assert hub_token() == "from_home"
    (environment / "other").write_text("from_path")
    monkeypatch.setenv("HF_TOKEN_PATH", str(environment / "other"))
    assert hub_token() == "from_path"
    monkeypatch.setenv("HF_TOKEN", "from_variable")
    assert hub_token() == "from_variable"
    monkeypatch.setenv("HF_TOKEN", "two words")
    with pytest.raises(InputError, match="has a space or another character that no token has; set HF_TOKEN"):
        hub_token()


@pytest.mark.parametrize(
    ("status", "code", "token", "message"),
    [
        (401, "RepoNotFound", None, r"does not exist, is private or is gated; .*, or set HF_TOKEN to a token with ac"),
        (401, None, "hf_x", r"is private or is gated; .*, or the token in HF_TOKEN does not give access \(HTTP 401\)"),
        (401, "GatedRepo", None, r"is gated: request access on .*/ada/streets, then set HF_TOKEN to a token of your"),
        (403, "GatedRepo", "hf_x", r"is gated: request access on .*/ada/streets, then set HF_TOKEN .* \(HTTP 403\)"),
        (404, "RevisionNotFound", None, r"the repository has no revision main; see .*/ada/streets/tree/main"),
        (404, "RepoNotFound", None, r"does not exist or is private; check the name on .*, and set HF_TOKEN for a pri"),
        (429, None, None, r"was requested too often \(HTTP 429\)"),
        (500, None, None, r"server error \(HTTP 500\); try again later"),
    ],
)
@pytest.mark.parametrize("path", [TREE, "/ada/streets/resolve/main/model.safetensors"])
def test_refusals_are_said_in_words(path, status, code, token, message, site, monkeypatch):
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)

    def refuse(handler):
        handler.send_response(status)
        if code is not None:
            handler.send_header("X-Error-Code", code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    site.answers[path] = refuse
    with pytest.raises(RapidSegError, match=message):
        fetch("hf://ada/streets")


@pytest.mark.parametrize("source", ["hf://ada/streets", "hf://ada/streets/old/model.pth"])
def test_what_is_kept_is_used_offline_and_without_the_server(source, site, monkeypatch):
    path = fetch(source)
    number = len(site.asked)
    assert fetch(source, offline=True) == kept_download(source) == path
    monkeypatch.setenv("HF_ENDPOINT", "http://host.invalid")
    notes = []
    assert fetch(source, note=notes.append) == path
    assert "no connection to host.invalid" in notes[0]
    assert notes[0].endswith("The file that was downloaded before is used")
    assert len(site.asked) == number


def test_a_commit_is_asked_for_once(site):
    publish(site, {"model.pth": OTHER}, revision=COMMIT)
    path = fetch(f"hf://ada/streets@{COMMIT}")
    assert fetch(f"hf://ada/streets@{COMMIT}") == path
    assert len(site.asked) == 2


def test_what_is_not_kept_is_one_message_offline(site, environment):
    folder = environment / "cache" / "downloads"
    with pytest.raises(ModelFileError) as caught:
        fetch("hf://ada/streets", offline=True)
    name = str(caught.value).partition(" as ")[2].partition(",")[0]
    assert str(caught.value) == (
        f"{site.url}/ada/streets/resolve/main/model.safetensors is not downloaded, and downloads are off (--offline, "
        f"or download=False); download it on another machine and put it in {folder} as {name}, or allow downloads"
    )
    assert site.asked == []
    folder.mkdir(parents=True)
    (folder / name).write_bytes(CONTENT)
    assert fetch("hf://ada/streets", offline=True) == folder / name


def test_a_damaged_record_is_as_none(site, environment):
    fetch("hf://ada/streets")
    (record,) = (environment / "cache" / "downloads").glob("*-hub.json")
    for text in ("{", "[]", '{"path": 5}', "9" * 5000):
        record.write_text(text)
        assert fetch("hf://ada/streets").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("hf://ada/streets.v2", "streets.v2.onnx"),
        ("hf://ada/streets@v1", "streets.onnx"),
        ("hf://a/b/c/best.pth", "best.onnx"),
    ],
)
def test_new_files_are_named_after_the_address(source, name):
    assert output_path(source, None, ".onnx") == Path(name)


def test_an_endpoint_that_is_not_a_url_is_refused(environment, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "huggingface.co")
    with pytest.raises(InputError, match=r"HF_ENDPOINT is 'huggingface\.co'; set it to a URL such as https://hugg"):
        fetch("hf://ada/streets")
