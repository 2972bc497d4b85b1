"""Damages every kind of file, calls the command line, and says what came of it."""
