"""The words of the command line, verb by verb, and what a verb prints; no logic of their own."""
