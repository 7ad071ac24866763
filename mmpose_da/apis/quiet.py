"""Leaving out what libraries print while something is loaded."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

from mmengine.logging import MMLogger

from .training import ignore_harmless_warnings


@contextmanager
def quiet(level: int = logging.WARNING) -> Iterator[None]:
    """Omit standard output, known warnings, and log messages below a level.

    Args:
        level (int): The lowest level that is still logged. Defaults to
            ``logging.WARNING``.
    """
    logger = MMLogger.get_current_instance()
    before = logger.level
    logger.setLevel(level)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            ignore_harmless_warnings()
            yield
    finally:
        logger.setLevel(before)
