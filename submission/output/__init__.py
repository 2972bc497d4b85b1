"""From tracks to PNG files, to a zip that is the same every time, to a verdict on it."""
