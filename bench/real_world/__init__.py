"""Real packages under ftcheck: released bugs that must be found, and test suites that must pass."""
