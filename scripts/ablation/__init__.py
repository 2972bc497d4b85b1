"""Measure what sampling, procedure, wording and votes do to a small checkpoint."""
