"""The Qwen-VL backbone: Qwen2.5-VL and Qwen3-VL, on the classes of transformers."""
