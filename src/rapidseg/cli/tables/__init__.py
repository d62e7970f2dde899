"""Tables and lines that the commands print."""
