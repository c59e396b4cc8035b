"""What ``bench/audit_rules.py`` has measured on the labelled corpus. Written by it; not to be changed by hand."""

MEASURED: dict[str, tuple[int, int, int, int]] = {}
"""Of each rule: findings labelled real, false, plausible; and flaws that it was to find and did not."""
