"""Make clips of moving shapes, with MeViS-like sentences and true masks, as a MeViS split."""
