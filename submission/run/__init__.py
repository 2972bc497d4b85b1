"""The run folder: its names, what is finished in it, and what made it."""
