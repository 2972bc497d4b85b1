"""Where `mevis-submission` and `python -m submission` begin: Ctrl-C while modules load is told."""

import sys

INTERRUPTED = 130  # what shells expect after Ctrl-C; ending.py is among what is loaded here


def main() -> int:
    """Load the command line and run one command; return its exit status."""
    try:
        from submission import cli  # takes most of a second, in which people press Ctrl-C

        return cli.main()
    except KeyboardInterrupt:
        print("Stopped before anything was done.", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
