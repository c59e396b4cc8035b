"""What ``bench/audit_rules.py`` has measured on the labelled corpus. Written by it; not to be changed by hand."""

MEASURED: dict[str, tuple[int, int, int, int, int]] = {}
"""Of each rule: findings labelled real, false, plausible; flaws in the samples that it finds, and that it misses."""
