"""From work to time on known GPUs, limits that fit them, and the table that a dry run prints."""
