"""Runs the command line: ``python -m gradxform``."""

import sys

from gradxform.cli import main

if __name__ == "__main__":
  sys.exit(main())
