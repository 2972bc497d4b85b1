"""The image from Python: build it and run it hardened through the Docker API (Docker or Podman)."""
