"""Which sentences refer to nothing: evidence, decision and calibration; pure, without a model."""
