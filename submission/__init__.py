"""From a MeViS split to a checked submission zip: experts, voting, PNGs, archive, verdict."""

__version__ = "0.1.0"
