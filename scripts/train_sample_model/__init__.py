"""Train the small Sa2VA that the project carries, from nothing, with the organs of submission."""
