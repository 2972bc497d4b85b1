"""The sizes of the released checkpoints, under the name that scripts and tests know."""

from submission.cost.released import (
    INTERN,
    NEW_TOKENS,
    RELEASED,
    Language,
    Vision,
    config_json,
)

__all__ = ["INTERN", "NEW_TOKENS", "RELEASED", "Language", "Vision", "config_json"]
