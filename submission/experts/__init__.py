"""The seam: whatever answers a video and all its sentences, and what experts share."""
