"""Many workers: who takes which video, what a lost worker means, and Ray under it."""
