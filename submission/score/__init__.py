"""J, F and the v2 accuracies of a result, counted exactly as the judge counts them."""
