"""Mask tracks as the kit keeps them: run-length encoded, stored per expert, and voted on."""
