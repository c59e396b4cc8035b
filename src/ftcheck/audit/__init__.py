"""The audit: what can be said of an environment, a wheel or source code without running a test.

Nothing here knows pytest or an engine. What was looked at is always counted and said: nothing found in nothing is no result.
"""
