"""Show a finished run as one page that opens from disk: scores, agreement, and every mask."""
