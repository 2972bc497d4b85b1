"""Run the embedded sample and compare everything that comes out with golden outputs."""
