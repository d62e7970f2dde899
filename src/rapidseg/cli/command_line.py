"""What all commands share beyond their options: help with examples, hints on wrong options, and the end on Ctrl-C."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from rapidseg.cli.console import console, print_interrupted
from rapidseg.cli.interrupts import forget_interrupts, pending_signal
from rapidseg.cli.renames import RENAMED_OPTIONS
from rapidseg.core.errors import Interrupted, did_you_mean, nearest_hint
from rapidseg.core.printable import printable

# Not importable by one name: some releases of Typer use Click, others contain a copy of it.
UsageError: type[Any] = typer.BadParameter.__mro__[1]

_NOT_A_CHOICE = re.compile(r"(?P<problem>'(?P<given>[^']*)' is not one of (?P<choices>.*?))\.?", re.DOTALL)


class Command(TyperCommand):
    """A command whose epilog is a list of example command lines, which its help shows as they are typed.

    An empty argument is refused: as a path it would mean the current folder, and usually it comes from a variable of
    the shell that is not set.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for before, argument in zip(["", *args], () if ctx.resilient_parsing else args, strict=False):
            if not argument.strip() or (argument.endswith("=") and argument.startswith("--")):
                name = before if before.startswith("-") else argument.rstrip("=") if argument.strip() else "an argument"
                raise UsageError(f"{name} is empty; pass a value, or . for the current folder")
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with _without_epilog(self) as examples:
            super().format_help(ctx, formatter)
        _print_examples(examples)


class Group(TyperGroup):
    """A group of commands; the outermost one explains wrong options, and ends on Ctrl-C with one line."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with _without_epilog(self) as examples:
            super().format_help(ctx, formatter)
        _print_examples(examples)

    def invoke(self, ctx: Any) -> Any:
        if ctx.parent is not None:
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except UsageError as error:
            add_hint(error)
            raise
        except KeyboardInterrupt as stop:
            # A workflow that says what it has done does not know which signal it was; a training does.
            number = pending_signal() or (stop.signal_number if isinstance(stop, Interrupted) else signal.SIGINT)
            forget_interrupts()
            print_interrupted(str(stop))
            raise typer.Exit(128 + number) from None


class CommandLine(typer.Typer):
    """A Typer application whose commands and groups are those of this module."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=Group, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Any:
        return super().command(name, cls=Command, **settings)


def add_hint(error: Any) -> None:
    """Adds what was probably meant to an error about an option or a value of a few allowed ones.

    Args:
        error: a usage error; its message is changed in place.
    """
    error.message = printable(error.message)  # which repeats arguments, perhaps names of files
    if hasattr(error, "option_name") and hasattr(error, "possibilities"):
        error.message = (
            f"No such option: {printable(error.option_name)}{_option_hint(error.option_name, _options_of(error.ctx))}"
        )
        error.possibilities = None
        return
    error.message = error.message.removeprefix("Value error, ")  # pydantic's, with which some releases of Typer check
    match = _NOT_A_CHOICE.fullmatch(error.message)
    if match is not None:
        hint = nearest_hint(match["given"], re.findall(r"'([^']*)'", match["choices"]))
        error.message = f"{match['problem']}{hint}."


def _option_hint(name: str, known: list[str]) -> str:
    renamed = [current for current in RENAMED_OPTIONS.get(name, ()) if current in known]
    if renamed:
        return f"; it is called {' or '.join(renamed)} now"
    return did_you_mean(*started) if (started := _completions(name, known)) else nearest_hint(name, known, cutoff=0.7)


def _completions(name: str, known: list[str]) -> list[str]:
    return [option for option in known if option.startswith(name)][:3] if len(name) > len("--") else []


def _options_of(context: Any) -> list[str]:
    """Returns the options of a command."""
    if context is None:
        return []
    names = [name for parameter in context.command.params for name in (*parameter.opts, *parameter.secondary_opts)]
    return [name for name in names if name.startswith("--")]


@contextlib.contextmanager
def _without_epilog(command: Any) -> Iterator[str]:
    """Hides the epilog from Typer, which would put empty lines between and around its lines; yields it."""
    epilog, command.epilog = command.epilog, None
    try:
        yield epilog or ""
    finally:
        command.epilog = epilog


def _print_examples(examples: str) -> None:
    if examples:
        console.print(" [bold]Examples[/]", highlight=False)
        for line in examples.splitlines():
            console.print(f"   {line}", markup=False, highlight=False, soft_wrap=True)
