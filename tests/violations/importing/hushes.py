"""Switches everybody's warnings off when it is imported."""

import warnings

warnings.simplefilter("ignore")
