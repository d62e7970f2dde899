"""Compiled CPU loops (Numba): class map, confidence and normalization."""
