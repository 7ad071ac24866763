"""What the command lines in ``tools/`` call."""

from .config import config_text, merge_options, with_pair
from .publish import publish

__all__ = ["config_text", "merge_options", "publish", "with_pair"]
