"""Answers of servers that are wrong, endless or cannot be weights: one message each, and nothing that is kept."""

import errno
import io
import json
import time
import zipfile
from pathlib import Path

import pytest
import torch

from rapidseg.core.errors import RapidSegError
from rapidseg.importing import fetch, transfer, web_requests
from tests.support.web_server import Site, serve

CONTENT = bytes(range(256)) * 4000
PATH = "/weights.pth"


@pytest.fixture
def site(downloads):
    with serve(Site({PATH: CONTENT})) as site:
        yield site


def kept(downloads):
    return sorted(path.name for path in downloads.iterdir() if not path.name.endswith(".lock"))


def answer(status, headers, *pieces, wait_s=0.0, endless=False):
    """Returns an answer of these headers and pieces, with a wait after each piece."""

    def write(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        while True:
            for piece in pieces:
                handler.wfile.write(piece)
                handler.wfile.flush()
                time.sleep(wait_s)
            if not endless:
                return

    return write


def interrupted(site, monkeypatch, done=1000):
    """Leaves a partial download behind."""
    site.breaks = [done]
    with monkeypatch.context() as changed:
        changed.setattr(transfer, "ATTEMPTS", 1)
        with pytest.raises(RapidSegError, match="broke off"):
            fetch(site.url + PATH)


@pytest.mark.parametrize("length", ["none", "of the body", "chunked"])
def test_a_part_with_more_bytes_than_announced_is_refused(site, downloads, monkeypatch, length):
    interrupted(site, monkeypatch)
    rest = CONTENT[1000:] + b"and more"
    headers = {"Content-Range": f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}", "ETag": '"1"'}
    if length == "of the body":
        headers["Content-Length"] = str(len(rest))
    if length == "chunked":
        headers["Transfer-Encoding"] = "chunked"
        rest = b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest)
    site.answers[PATH] = answer(206, headers, rest)
    with pytest.raises(RapidSegError, match="the server sent more bytes than it announced; the download was deleted"):
        fetch(site.url + PATH)
    assert kept(downloads) == []


def test_a_part_of_a_file_of_unknown_length_restarts_the_download(site, downloads, monkeypatch):
    # Neither the first answer nor the part says how long the file is, so the part may not be the last one.
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    first = answer(200, {"Transfer-Encoding": "chunked"}, b"3e8\r\n" + CONTENT[:1000] + b"\r\n")
    site.answers[PATH] = first
    with pytest.raises(RapidSegError, match="broke off"):
        fetch(site.url + PATH)
    site.answers[PATH] = answer(
        206, {"Content-Range": "bytes 1000-1999/*", "Content-Length": "1000"}, CONTENT[1000:2000]
    )
    with pytest.raises(RapidSegError, match="a part of unknown length"):
        fetch(site.url + PATH)
    site.answers.clear()
    assert fetch(site.url + PATH).read_bytes() == CONTENT
    assert site.asked[-1] == (PATH, None)


def test_a_server_that_drips_is_given_up(site, downloads, monkeypatch):
    monkeypatch.setattr(web_requests, "SLOW_WINDOW_S", 0.1)
    monkeypatch.setattr(transfer, "ATTEMPTS", 2)
    site.answers[PATH] = answer(200, {"Content-Length": str(len(CONTENT))}, b"x", wait_s=0.01, endless=True)
    began = time.monotonic()
    with pytest.raises(RapidSegError, match=r"broke off after .* MB \(only \d+ bytes came in 0 s\); run the same"):
        fetch(site.url + PATH)
    assert time.monotonic() - began < 10
    assert len(site.asked) == 2


def test_a_slow_server_above_the_lowest_rate_is_waited_for(site, monkeypatch):
    monkeypatch.setattr(web_requests, "SLOW_WINDOW_S", 0.05)
    piece = CONTENT[:1000]
    site.answers[PATH] = answer(200, {"Content-Length": "10000"}, *[piece] * 10, wait_s=0.02)
    assert fetch(site.url + PATH).read_bytes() == piece * 10
    assert len(site.asked) == 1


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 16, "-1", "x", "\xb2"])
def test_a_length_that_is_not_a_size_is_unknown(site, digits):
    headers = {"Content-Length": digits, "Connection": "close"}
    site.answers[PATH] = answer(200, headers, CONTENT)
    if digits == "9" * 16:  # a number that the connection is measured by
        with pytest.raises(RapidSegError, match="broke off"):
            fetch(site.url + PATH)
        return
    assert fetch(site.url + PATH).read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["Text/HTML; charset=utf-8", "application/xhtml+xml"])
def test_a_web_page_is_known_by_its_type(site, downloads, kind):
    site.answers[PATH] = answer(200, {"Content-Type": kind, "Content-Length": "5"}, b"Hello")
    with pytest.raises(RapidSegError, match="is a web page"):
        fetch(site.url + PATH)
    assert kept(downloads) == []


def test_a_refusal_in_odd_words_is_one_short_line(site, downloads):
    def refuse(handler):
        handler.wfile.write(b"HTTP/1.1 418 \x1b[31m" + b"teapot" * 500 + b"\r\nContent-Length: 0\r\n\r\n")

    site.answers[PATH] = refuse
    with pytest.raises(RapidSegError, match=r"was not sent \(\[31mteapot") as caught:
        fetch(site.url + PATH)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("tag", ['"a\r\n b"', '"\xe9"', '"' + "a" * 9000 + '"'])
def test_a_tag_that_cannot_be_sent_back_does_not_stop_the_download(site, monkeypatch, tag):
    site.headers = {"ETag": tag}
    interrupted(site, monkeypatch)
    assert fetch(site.url + PATH).read_bytes() == CONTENT


def test_a_part_that_ends_behind_the_file_restarts_the_download(site, monkeypatch):
    interrupted(site, monkeypatch)
    end = len(CONTENT) + 5
    part = answer(206, {"Content-Range": f"bytes 1000-{end}/{len(CONTENT)}"}, CONTENT[1000:] + b"wrong!")

    def once(handler):
        del site.answers[PATH]
        part(handler)

    site.answers[PATH] = once
    assert fetch(site.url + PATH).read_bytes() == CONTENT


@pytest.mark.parametrize("digits", ["9" * 5000, "1" * 16, "x"])
@pytest.mark.parametrize("form", ["bytes {}-1023999/1024000", "bytes 1000-{}/1024000", "bytes 1000-1023999/{}", "{}"])
def test_a_range_that_is_not_one_restarts_the_download(site, monkeypatch, digits, form):
    interrupted(site, monkeypatch)
    part = answer(206, {"Content-Range": form.format(digits), "Content-Length": "5"}, b"wrong")

    def once(handler):
        del site.answers[PATH]
        part(handler)

    site.answers[PATH] = once
    notes = []
    assert fetch(site.url + PATH, note=notes.append).read_bytes() == CONTENT
    assert notes[0].endswith("the download restarts")


def zip_file():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", CONTENT)
    return buffer.getvalue()


def legacy_file():
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(100)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def safetensors_file(num_bytes=400):
    header = json.dumps({"__metadata__": {}, "a": {"dtype": "F32", "shape": [100], "data_offsets": [0, 400]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(num_bytes)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pth", b"", "is empty"),
        ("a.pth", b"\xef\xbb\xbf\n <!DOCTYPE HTML><title>Log in</title>", "is a web page, such as a log-in page"),
        ("a.pth", b"<html lang='en'>", "is a web page, such as a log-in page"),
        ("a.pth", b'{"error": "Invalid username or password."}', "is JSON text, such as an error message"),
        ("a.pth", legacy_file()[:-100], "is not complete, or damaged: its tensors cannot be read"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git LFS pointer"),
        ("a.pth", zip_file()[:-100], "is not complete: the end of the zip file is missing"),
        ("a.safetensors", safetensors_file(399), "is not complete: it has 399 of 400 bytes of tensors"),
        ("a.safetensors", safetensors_file()[:30], "is not complete: it ends within its header"),
        ("a.safetensors", (8).to_bytes(8, "little") + b"not JSON", "is not a safetensors file"),
        ("a.safetensors", (9000).to_bytes(8, "little") + b"[" * 9000, "is not a safetensors file"),
    ],
)
def test_what_cannot_be_weights_is_not_kept(site, downloads, name, content, message):
    site.files[f"/{name}"] = content
    with pytest.raises(RapidSegError, match=f"{message}.*; it was deleted. Check the URL in a browser"):
        fetch(f"{site.url}/{name}")
    assert kept(downloads) == []


@pytest.mark.parametrize(
    ("name", "content"), [("a.pth", zip_file()), ("a.pth", legacy_file()), ("a.safetensors", safetensors_file())]
)
def test_whole_files_are_kept(site, name, content):
    site.files[f"/{name}"] = content
    assert fetch(f"{site.url}/{name}").read_bytes() == content


def test_a_disk_that_fills_up_is_one_message_and_the_bytes_before_are_kept(site, downloads, monkeypatch):
    real = Path.open

    def open_until_full(path, mode="r", *arguments, **options):
        file = real(path, mode, *arguments, **options)
        if path.name.endswith(".partial") and mode != "rb":
            write = file.write

            class Full:
                def __enter__(self):
                    return self

                def __exit__(self, *_):
                    file.close()

                def write(self, chunk):
                    if file.tell() + len(chunk) > 500_000:
                        raise OSError(errno.ENOSPC, "No space left on device")
                    write(chunk)

            return Full()
        return file

    with monkeypatch.context() as full:
        full.setattr(Path, "open", open_until_full)
        with pytest.raises(RapidSegError, match=r"No space left on device; free disk space, .*; the bytes received so"):
            fetch(site.url + PATH)
    assert fetch(site.url + PATH).read_bytes() == CONTENT
    assert site.asked[-1][1].startswith("bytes=")
