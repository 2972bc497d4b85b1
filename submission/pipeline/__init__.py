"""From a recipe to a checked zip: a plan, the stages, each in a file, and the way through them."""
