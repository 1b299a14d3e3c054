"""Warns when it is imported."""

import warnings

warnings.warn("be careful", stacklevel=1)
