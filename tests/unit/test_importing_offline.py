"""Weights where downloads are off or come from a mirror: what is used, and what the one message says."""

import hashlib
import os

import pytest

from rapidseg.core.errors import InputError, ModelFileError, RapidSegError
from rapidseg.importing import downloader, fetch, find_checkpoint, kept_download, kept_files, transfer
from rapidseg.zoo import published_models
from tests.support.web_server import Site, serve

CONTENT = bytes(range(256)) * 40
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]
NAME = f"fast_scnn-{DIGITS}.pth"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("RAPIDSEG_OFFLINE", raising=False)
    monkeypatch.delenv("RAPIDSEG_MIRROR", raising=False)
    monkeypatch.setattr(transfer, "WAIT_S", 0.0)
    return tmp_path / "cache" / "downloads"


@pytest.fixture
def site(cache):
    with serve(Site({f"/models/{NAME}": CONTENT, "/weights.pth": CONTENT})) as site:
        yield site


def message(call, *arguments, **options):
    with pytest.raises(ModelFileError) as caught:
        call(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("value", ["1", "true", "Yes", " on "])
def test_the_variable_and_the_argument_forbid_downloads_with_one_message(value, site, cache, monkeypatch):
    url = f"{site.url}/models/{NAME}"
    expected = (
        f"{url} is not downloaded, and downloads are off ({{}}); download it on another machine and put it in {cache} "
        f"as {NAME}, or allow downloads"
    )
    for call in (fetch, find_checkpoint):
        assert message(call, url, offline=True) == expected.format("--offline, or download=False")
    monkeypatch.setenv("RAPIDSEG_OFFLINE", value)
    for call in (fetch, find_checkpoint):
        assert message(call, url) == expected.format(f"RAPIDSEG_OFFLINE={value.strip()}")
    assert kept_download(url) is None
    assert site.asked == []
    assert not cache.exists()  # nothing is written either


@pytest.mark.parametrize("value", ["", "0", "false", "No", "off"])
def test_the_variable_may_be_off(value, site, monkeypatch):
    monkeypatch.setenv("RAPIDSEG_OFFLINE", value)
    assert fetch(f"{site.url}/models/{NAME}").read_bytes() == CONTENT


def test_another_value_of_the_variable_is_refused(cache, monkeypatch):
    monkeypatch.setenv("RAPIDSEG_OFFLINE", "maybe")
    with pytest.raises(InputError, match="RAPIDSEG_OFFLINE is 'maybe'; set it to 1 to turn downloads off, or to 0 to"):
        fetch("http://host.invalid/a.pth")


@pytest.mark.skipif(os.name == "nt", reason="needs permissions of POSIX")
def test_what_is_kept_is_used_offline_and_from_a_cache_that_cannot_be_written(site, cache):
    urls = [f"{site.url}/models/{NAME}", f"{site.url}/weights.pth"]
    paths = [fetch(url) for url in urls]
    cache.chmod(0o500)
    try:
        assert [fetch(url, offline=True) for url in urls] == paths
        assert [kept_download(url) for url in urls] == paths
    finally:
        cache.chmod(0o700)
    assert len(site.asked) == 2


@pytest.mark.parametrize("offline", [True, False])
def test_a_file_that_the_user_put_there_is_used(offline, site, cache):
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(CONTENT)
    url = f"{site.url}/models/{NAME}"
    assert fetch(url, offline=offline) == kept_download(url) == cache / NAME
    assert fetch(f"{site.url}/elsewhere/{NAME}", offline=offline) == cache / NAME  # the hash says that it is the same
    assert site.asked == []


def test_a_wrong_file_that_the_user_put_there_is_never_used(site, cache):
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(b"wrong")
    url = f"{site.url}/models/{NAME}"
    digits = hashlib.sha256(b"wrong").hexdigest()
    problem = f"{cache / NAME} is not used: its SHA-256 is {digits}, which does not begin with {DIGITS}"
    assert message(fetch, url, offline=True).endswith(f"or allow downloads. {problem}")
    assert kept_download(url) is None
    notes = []
    path = fetch(url, note=notes.append)
    assert path.read_bytes() == CONTENT
    assert notes == [f"{problem}; it is downloaded again"]
    assert (cache / NAME).read_bytes() == b"wrong"  # the user's, so it stays
    assert fetch(url, offline=True) == path


def test_without_a_hash_only_the_name_with_the_digits_of_the_address_is_used(site, cache):
    url = f"{site.url}/weights.pth"
    cache.mkdir(parents=True)
    (cache / "weights.pth").write_bytes(b"of another site")
    name = f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-weights.pth"
    assert f"put it in {cache} as {name}, or" in message(fetch, url, offline=True)
    (cache / "weights.pth").rename(cache / name)
    assert fetch(url, offline=True) == cache / name


def test_a_damaged_kept_file_is_not_used_and_stays_where_downloads_are_off(site, cache):
    url = f"{site.url}/models/{NAME}"
    path = fetch(url)
    path.write_bytes(b"damaged")
    assert f"{path} is not used: its SHA-256 is" in message(fetch, url, offline=True)
    assert path.read_bytes() == b"damaged"


@pytest.fixture
def mirrored(site, monkeypatch):
    """A site whose `/models/NAME` is the file of a published model, and which has a mirror at `/mirror`."""
    name, entry = next(iter(published_models().items()))
    weights = entry.weights[0].model_copy(update={"url": f"{site.url}/models/{NAME}"})
    changed = {**published_models(), name: entry.model_copy(update={"weights": (weights,)})}
    for module in (downloader, kept_files):
        monkeypatch.setattr(module, "published_models", lambda: changed)
    monkeypatch.setenv("RAPIDSEG_MIRROR", f"{site.url}/mirror/")
    site.files[f"/mirror/{NAME}"] = CONTENT
    return site


def test_a_mirror_is_asked_in_place_of_the_address_of_a_published_model(mirrored, cache, monkeypatch):
    url = f"{mirrored.url}/models/{NAME}"
    path = fetch(url)
    assert path.read_bytes() == CONTENT
    assert mirrored.asked == [(f"/mirror/{NAME}", None)]
    monkeypatch.delenv("RAPIDSEG_MIRROR")
    assert fetch(url) == path  # kept under the address itself
    assert len(mirrored.asked) == 1


def test_a_mirror_has_only_files_of_published_models(mirrored):
    mirrored.files["/mirror/weights.pth"] = b"of the mirror"
    assert fetch(f"{mirrored.url}/weights.pth").read_bytes() == CONTENT
    assert mirrored.asked == [("/weights.pth", None)]


@pytest.mark.parametrize("fault", ["missing", "wrong", "unreachable"])
def test_a_mirror_that_fails_is_named_and_the_address_itself_is_asked(fault, mirrored, cache, monkeypatch):
    if fault == "missing":
        mirrored.statuses[f"/mirror/{NAME}"] = 404
    if fault == "wrong":
        mirrored.files[f"/mirror/{NAME}"] = b"another file"
    if fault == "unreachable":
        monkeypatch.setenv("RAPIDSEG_MIRROR", "http://mirror.invalid/weights")
    notes = []
    assert fetch(f"{mirrored.url}/models/{NAME}", note=notes.append).read_bytes() == CONTENT
    reason = {"missing": r"HTTP 404", "wrong": "which does not begin with", "unreachable": "no connection to mirror"}
    assert notes[0].startswith("the mirror that RAPIDSEG_MIRROR names failed: ")
    assert reason[fault] in notes[0]
    assert notes[0].endswith(f"The file is downloaded from {mirrored.url}/models/{NAME}")


def test_if_both_fail_the_message_names_both(mirrored, cache):
    mirrored.statuses |= {f"/mirror/{NAME}": 404, f"/models/{NAME}": 503}
    with pytest.raises(RapidSegError) as caught:
        fetch(f"{mirrored.url}/models/{NAME}")
    assert str(caught.value).startswith(f"{mirrored.url}/models/{NAME}: server error (HTTP 503)")
    assert f"Before that, the mirror that RAPIDSEG_MIRROR names failed: {mirrored.url}/mirror/{NAME}: " in str(
        caught.value
    )


def test_what_a_note_said_of_the_mirror_is_not_repeated(mirrored, cache):
    mirrored.files |= {f"/mirror/{NAME}": b"other", f"/models/{NAME}": b"another"}
    notes = []
    with pytest.raises(RapidSegError) as caught:
        fetch(f"{mirrored.url}/models/{NAME}", note=notes.append)
    assert len(notes) == 1
    assert str(caught.value).count("SHA-256") == 1
    assert str(caught.value).endswith(
        "is not the published one: get that by other means, and pass its path. Before that, the mirror failed"
    )


def test_a_download_that_a_mirror_began_is_finished_by_the_address_itself(mirrored, monkeypatch):
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    mirrored.breaks = [1000]
    assert fetch(f"{mirrored.url}/models/{NAME}").read_bytes() == CONTENT
    assert mirrored.asked == [(f"/mirror/{NAME}", None), (f"/models/{NAME}", "bytes=1000-")]


@pytest.mark.parametrize("value", ["mirror.example.org", "ftp://host/a", "https://", "http://[bad"])
def test_a_mirror_that_is_not_a_url_is_refused(value, cache, monkeypatch):
    monkeypatch.setenv("RAPIDSEG_MIRROR", value)
    with pytest.raises(InputError, match=r"RAPIDSEG_MIRROR is .*; set it to a URL such as https://mirror\.example"):
        fetch("http://host.invalid/a.pth")
