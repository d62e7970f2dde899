"""Options of the command line, as annotated types that commands share, by theme."""
