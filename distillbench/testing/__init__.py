"""What an author's test suite needs: the contract of each kind, a test a promise."""

from __future__ import annotations

from distillbench.testing.suite import contract_tests

__all__ = ["contract_tests"]
