"""Time this kit against the public procedure, on the same machine in the same run."""
