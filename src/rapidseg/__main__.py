"""`python -m rapidseg`: the command line, where the `rapidseg` script is not on the path."""

import os
import sys

# `python -m` searches the current folder for modules first: a `numpy.py` that lies there would be run. Nothing else is
# imported before this; where the package itself lies in the current folder, it has been found already.
try:  # without contextlib, which could be such a module
    if sys.path[:1] == [os.getcwd()] and os.path.dirname(os.path.dirname(os.path.abspath(__file__))) != sys.path[0]:
        del sys.path[0]
except OSError:  # the current folder is gone
    pass

from rapidseg.cli.app import main

main()
