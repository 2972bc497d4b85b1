"""A MeViS split on disk becomes checked records, decoded frames and ground truth."""
