"""Shared by every other part of RapidSeg: errors, label sets, model specifications, sizes, progress and files."""
