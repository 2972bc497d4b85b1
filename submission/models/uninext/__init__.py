"""UNINEXT: finds the one object that a sentence means, frame by frame."""
