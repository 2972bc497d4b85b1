"""Pictures of what the kit shows, for README and docs: the page, a strip of frames, a terminal."""
