"""Checks that find what would make training go wrong, before it starts."""
