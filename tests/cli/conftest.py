"""Fixtures that the tests of all commands share."""

import pytest

from rapidseg.cli import app


@pytest.fixture
def rapidseg(monkeypatch, capfd, tmp_path):
    """Runs a command line in an empty folder; returns exit status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["rapidseg", *map(str, words)])
        try:
            app.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, *capfd.readouterr()

    return run
