"""What a video is to a model: its frames, resized ahead, and which of them are looked at."""
