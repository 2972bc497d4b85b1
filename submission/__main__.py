"""Lets `python -m submission` do what `mevis-submission` does."""

import sys

from submission.cli import main

if __name__ == "__main__":
    sys.exit(main())
