"""What a run will do and cost, and the limits with which it fits, before anything is loaded."""
