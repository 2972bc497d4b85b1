"""What to run: data, experts, vote and output, from TOML; and the recipes that come along."""
