"""What a run costs before it is run: work, time and memory, from a checkpoint's config.json."""
