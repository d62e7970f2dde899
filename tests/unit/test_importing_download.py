"""Downloads from a real server: kept, resumed after an interruption, checked, and refused in one message."""

import contextlib
import hashlib
import os
import random
import subprocess
import sys
import threading

import pytest

from rapidseg.core.errors import InputError, RapidSegError
from rapidseg.importing import fetch, is_url, transfer
from tests.support.web_server import Site, serve

CONTENT = random.Random(0).randbytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAMED = f"/fast_scnn_cityscapes_20210630-{SHA256[:8]}.pth"  # as OpenMMLab names its files


@pytest.fixture
def site(downloads):
    with serve(Site({"/weights.pth": CONTENT, NAMED: CONTENT})) as site:
        yield site


def parts(downloads):
    return sorted(path.name for path in downloads.iterdir() if not path.name.endswith(".lock"))


def test_a_file_is_fetched_once_with_progress(site, downloads):
    seen = []
    path = fetch(site.url + NAMED, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert path.parent == downloads
    assert path.name.endswith(NAMED.removeprefix("/"))  # the end of the name tells the kind of file
    assert (seen[0], seen[-1]) == ((0, len(CONTENT)), (len(CONTENT), len(CONTENT)))
    assert parts(downloads) == [path.name]
    assert fetch(site.url + NAMED) == path
    assert len(site.asked) == 1


def test_nothing_is_printed(site):
    program = f"from rapidseg.importing import fetch; fetch({site.url + '/weights.pth'!r})"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")


def in_a_terminal(program: str) -> str:
    """Returns what a program prints on standard error where that is a terminal of 80 columns."""
    pty = pytest.importorskip("pty", reason="Windows has no pseudo terminals")
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80"}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=slave, env=environment)
    os.close(slave)
    text = b""
    with contextlib.suppress(OSError):  # Linux says in this way that the program has closed its end
        while chunk := os.read(master, 4096):
            text += chunk
    os.close(master)
    assert process.communicate() == (b"", None)
    return text.decode()


def test_a_terminal_shows_a_download_in_one_line(site):
    address = site.url + "/weights.pth"
    program = f"from rapidseg.importing import fetch; fetch({address!r}); fetch({address!r})"
    shown = in_a_terminal(program)
    assert shown.startswith("\rdownloading weights.pth: 0.0 of 1.0 MB (0%)")
    assert "\rdownloading weights.pth: 1.0 of 1.0 MB (100%)" in shown
    assert (shown.count("\n"), shown[-1]) == (1, "\n")  # nothing for the file that is there


def test_a_terminal_shows_nothing_where_the_caller_watches(site):
    program = (
        "from rapidseg.core.progress import SILENT, counter\nfrom rapidseg.importing import fetch\n"
        f"fetch({site.url + '/weights.pth'!r}, progress=counter(SILENT, 'downloading', unit='bytes'))"
    )
    assert in_a_terminal(program) == ""


def test_an_error_follows_on_a_line_of_its_own(site):
    site.breaks = [300_000] * 10
    program = (
        "import rapidseg, sys\nfrom rapidseg.importing import fetch, transfer\ntransfer.WAIT_S = 0\n"
        f"try: fetch({site.url + '/weights.pth'!r}, sha256='0' * 8)\n"
        "except rapidseg.RapidSegError as error: sys.stderr.write(f'error: {error}')"
    )
    assert in_a_terminal(program).splitlines()[-1].startswith("error: http")


def test_a_break_is_gone_on_from(site, downloads):
    site.breaks = [300_000, 200_000]
    seen = []
    path = fetch(site.url + "/weights.pth", progress=lambda done, total: seen.append(done))
    assert path.read_bytes() == CONTENT
    assert [wanted for _, wanted in site.asked] == [None, "bytes=300000-", "bytes=500000-"]
    assert seen == sorted(seen)


@pytest.mark.parametrize("headers", [{"ETag": '"1"'}, {"Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}, {}])
def test_another_process_goes_on_where_one_gave_up(headers, site, downloads, monkeypatch):
    site.headers, site.breaks = headers, [300_000]
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    with pytest.raises(
        RapidSegError, match=r"the connection broke off after 0\.3 MB .*; run the same command to resume"
    ):
        fetch(site.url + "/weights.pth")
    assert any(name.endswith(".partial") for name in parts(downloads))
    path = fetch(site.url + "/weights.pth")
    assert path.read_bytes() == CONTENT
    assert site.asked[-1] == ("/weights.pth", "bytes=300000-")
    assert parts(downloads) == [path.name]


@pytest.mark.parametrize("change", ["ETag", "length", "shorter", "no ranges"])
def test_a_file_that_changed_or_comes_whole_begins_again(change, site, downloads, monkeypatch):
    site.breaks = [300_000]
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    if change in ("length", "shorter"):
        site.headers = {}  # nothing but the length tells
    with pytest.raises(RapidSegError, match="broke off"):
        fetch(site.url + "/weights.pth")
    monkeypatch.setattr(transfer, "ATTEMPTS", 2)
    content = {"ETag": CONTENT[::-1], "length": CONTENT + b"more", "shorter": b"x" * 1000, "no ranges": CONTENT}[change]
    site.files["/weights.pth"] = content
    site.ranges = change != "no ranges"
    if change == "ETag":
        site.headers = {"ETag": '"2"'}
    notes = []
    assert fetch(site.url + "/weights.pth", note=notes.append).read_bytes() == content
    assert len(notes) == 1
    assert notes[0].endswith("the download restarts")


def test_a_connection_that_breaks_again_and_again_is_given_up(site, downloads):
    site.breaks = [1000] * 10
    with pytest.raises(RapidSegError, match="broke off"):
        fetch(site.url + "/weights.pth")
    assert len(site.asked) == transfer.ATTEMPTS


@pytest.mark.parametrize("sha256", [None, SHA256, SHA256[:8], f"sha256:{SHA256.upper()}"])
def test_the_hash_is_taken_from_the_name_or_given(sha256, site):
    assert fetch(site.url + NAMED, sha256=sha256).read_bytes() == CONTENT


def test_a_wrong_hash_deletes_the_file_and_says_so(site, downloads):
    site.files[NAMED] = CONTENT[:-1] + b"!"
    with pytest.raises(
        RapidSegError, match=rf"which does not begin with {SHA256[:8]}; it was deleted\. If that happens"
    ):
        fetch(site.url + NAMED)
    with pytest.raises(RapidSegError, match="does not begin with 00000000; it was deleted"):
        fetch(site.url + "/weights.pth", sha256="0" * 8)
    assert parts(downloads) == []


def test_a_kept_file_that_was_damaged_is_fetched_again(site):
    path = fetch(site.url + NAMED)
    path.write_bytes(b"damaged")
    assert fetch(site.url + NAMED).read_bytes() == CONTENT


def test_a_redirect_is_followed_and_the_name_stays_that_of_the_address(site):
    site.redirects[f"/latest-{SHA256[:8]}.pth"] = site.url + "/weights.pth"
    path = fetch(f"{site.url}/latest-{SHA256[:8]}.pth")
    assert path.read_bytes() == CONTENT
    assert path.name.endswith(f"latest-{SHA256[:8]}.pth")
    site.redirects["/loop"] = site.url + "/loop"
    with pytest.raises(RapidSegError, match=r"/loop cannot be downloaded \(the server redirects in a circle, or"):
        fetch(site.url + "/loop")
    site.redirects["/local"] = "file:///etc/passwd"
    message = r"/local cannot be downloaded \(the server redirects to an address that is neither http:// nor https://\)"
    with pytest.raises(RapidSegError, match=message):
        fetch(site.url + "/local")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, r"does not exist \(HTTP 404\); check the URL, or pass the path of a local file"),
        (403, r"is not accessible \(HTTP 403\)"),
        (418, r"was not sent \(.*\) \(HTTP 418\)"),
        (503, r"server error \(HTTP 503\); try again later"),
    ],
)
def test_a_refusal_is_said_in_words(status, message, site, downloads):
    site.statuses["/weights.pth"] = status
    with pytest.raises(RapidSegError, match=message):
        fetch(site.url + "/weights.pth")
    assert parts(downloads) == []


def test_a_web_page_is_no_file(site, downloads):
    site.headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(RapidSegError, match=r"is a web page \(text/html\), not a file of weights"):
        fetch(site.url + "/weights.pth")
    assert parts(downloads) == []


def test_no_connection_names_the_host(downloads):
    with serve(Site()) as site:
        url = site.url + "/weights.pth"
    with pytest.raises(RapidSegError, match=r"no connection to 127\.0\.0\.1 \(connection refused\); check the"):
        fetch(url)
    with pytest.raises(RapidSegError, match=r"no connection to host\.invalid \(unknown host\)"):
        fetch("http://host.invalid/weights.pth")  # RFC 6761 keeps this name from ever being one


@pytest.mark.parametrize("url", ["https://", "http://", "https:///a.pth"])
def test_a_url_without_a_host_is_refused(url, downloads):
    with pytest.raises(InputError, match=rf"^{url} names no host; pass a whole URL, such as https://host/"):
        fetch(url)


@pytest.mark.parametrize("url", ["ftp://host/a.pth", "file:///etc/passwd", "s3://bucket/a.pth"])
def test_other_urls_are_refused(url, downloads):
    assert is_url(url)
    with pytest.raises(
        InputError, match=r"only http://, https:// and hf:// URLs can be downloaded; get the file by other means"
    ):
        fetch(url)


@pytest.mark.parametrize("path", ["weights.pth", "/a/b.pth", "C:\\weights.pth", "a:b"])
def test_paths_are_not_urls(path):
    assert not is_url(path)


def test_a_hash_of_another_form_is_refused(downloads):
    with pytest.raises(InputError, match="'abc' is not a SHA-256; pass its 64 hex digits, or the first 8 or more"):
        fetch("http://host.invalid/a.pth", sha256="abc")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's device that is always full")
def test_a_full_disk_is_said(site, downloads):
    url = site.url + "/weights.pth"
    partial = downloads / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-weights.pth.partial"
    downloads.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    with pytest.raises(
        RapidSegError, match=r"No space left on device; free disk space, .* RAPIDSEG_CACHE names the folder"
    ):
        fetch(url)


def test_a_cache_that_cannot_be_made_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        RapidSegError, match="the cache folder for downloads is not writable; set RAPIDSEG_CACHE to a folder"
    ):
        fetch("http://host.invalid/a.pth")


def test_two_that_ask_at_once_download_once(site):
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(site.url + NAMED))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == len(site.asked) == 1
    assert paths[0].read_bytes() == CONTENT
