"""SAM 2 as every family shares it: image features, prompts, memory and tracking."""
