"""The InternVL backbone: its config, its vision encoder, its prompt and its tensor names."""
