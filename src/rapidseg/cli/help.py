"""Help texts: names of the option groups, and examples that are shown as typed."""

from __future__ import annotations

# Groups of options in the help of a command, in the order in which most commands list them.
DATA = "Data"
MODEL = "Model and engine"
METHOD = "Method"
OUTPUT = "Output"

# `-h` works everywhere: Typer hands the names of the help option down from a group to its commands.
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"]}


def examples(*commands: str) -> str:
    """Returns the epilog of a command's help: example command lines, which `command_line.Command` prints.

    Args:
        commands: command lines, each short enough for a terminal of 80 columns.
    """
    return "\n".join(commands)
