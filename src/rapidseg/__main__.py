"""`python -m rapidseg`: the command line, where the `rapidseg` script is not on the path."""

from rapidseg.cli.app import main

main()
