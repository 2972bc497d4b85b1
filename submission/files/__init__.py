"""Files as others made them and as the kit writes them: ordinary, strict, whole or not at all."""
