"""From a recipe to a checked zip: plan, predict, assemble, evaluate, and the way through them."""
