"""Checks of this installation: packages, engines, and a self-test of prediction.

`packages`, `installation` and `engines` import no third-party package at module level: they work where one is missing
or broken, and say so.
"""
