"""Runs the command line, and turns errors into messages and exit statuses.

Exit status: 0, everything that was asked for is done; 1, some of it could not be done; 2, the request was wrong, or a
package that RapidSeg needs is missing or broken; 130, interrupted by Ctrl-C; 143, ended by SIGTERM.

Hardly anything is imported at module level, so that a broken package, Typer included, is reported, and Ctrl-C too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rapidseg.core.errors import DependencyError

_SIGINT = 2
_NOT_DONE, _WRONG = 1, 2  # exit statuses


def main() -> None:
    """Runs the command line and exits."""
    try:
        status = _run_guarded()
    except KeyboardInterrupt:  # a running command ends on its own; this one was still being imported
        from rapidseg.cli.interrupts import pending_signal

        sys.stderr.write("interrupted\n")
        status = 128 + (pending_signal() or _SIGINT)
    sys.exit(status)


def _run_guarded() -> int | str | None:
    """Runs the command with streams that can be written to, and returns the exit status."""
    from rapidseg.cli.streams import guarded_streams, open_missing_streams

    output_is_open = open_missing_streams()
    status: int | str | None = 0
    with guarded_streams() as output:
        try:
            _check_surroundings(output_is_open)
            _run()
        except SystemExit as end:
            status = end.code
        output.flush()
        if output.error is not None:
            _print_error(f"cannot write to standard output: {output.error.strerror}; not all results were printed")
            status = status or _NOT_DONE
    return status


def _check_surroundings(output_is_open: bool) -> None:
    """Ends the program where nothing could work, before a library fails at it in words of its own."""
    from rapidseg.core.os_errors import current_folder_problem

    problem = current_folder_problem()
    if not output_is_open and "--json" in sys.argv:
        problem = "standard output is closed, where --json prints; redirect it to a file"
    if problem is not None:
        _fail(problem)


def _run() -> None:
    from rapidseg.cli.interrupts import interrupt_is_pending, pending_signal, remember_interrupts

    remember_interrupts()
    from rapidseg.core.errors import DependencyError, RapidSegError
    from rapidseg.core.import_errors import explained_imports
    from rapidseg.core.os_errors import explain_error
    from rapidseg.core.out_of_memory import is_out_of_memory

    try:
        with explained_imports():
            from rapidseg.cli.commands import app

            app()
    except SystemExit as end:
        if end.code == 128 + _SIGINT and interrupt_is_pending():  # Typer ended it while it read the arguments
            sys.stderr.write("interrupted\n")
            sys.exit(128 + (pending_signal() or _SIGINT))
        raise
    except DependencyError as error:
        if interrupt_is_pending():  # libraries that are interrupted while they are imported seem to be broken
            raise KeyboardInterrupt from error
        if sys.argv[1:2] == ["doctor"]:
            _fail_to_diagnose(error)
        _fail(str(error))
    except RapidSegError as error:
        _fail(str(error))
    except Exception as error:
        if is_out_of_memory(error):
            _fail(f"memory ran out{_detail(error)}; free memory, or use smaller images or a smaller batch", _NOT_DONE)
        message = explain_error(error)
        if message is None:  # a fault of this program, whose traceback is needed to mend it
            raise
        _fail(message)


def _detail(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f" ({text[:200]})" if text else ""


def _fail(message: str, status: int = _WRONG) -> NoReturn:
    _print_error(message)
    sys.exit(status)


def _fail_to_diagnose(error: DependencyError) -> NoReturn:
    """Prints what `doctor` can find out without the packages that it is built on."""
    import json

    from rapidseg.workflows.doctor import find_problems

    problems = find_problems()
    if "--json" in sys.argv:
        document = {"ok": False, "problems": [problem.to_dict() for problem in problems], "error": str(error)}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        sys.exit(2)
    required = [problem for problem in problems if problem.required]
    for problem in required:
        _print_error(f"{problem.message}. To repair it, {problem.advice}")
    if not required:
        _print_error(str(error))
    sys.exit(2)


def _print_error(text: str) -> None:
    try:
        from rapidseg.cli.console import print_error
    except Exception:  # Rich is missing or broken
        sys.stderr.write(f"error: {text}\n")
    else:
        print_error(text)
