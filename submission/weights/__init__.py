"""Checkpoints on disk: where they lie and what exactly they hold."""
