"""FT901, FT902: ftcheck's own comments in code, where they do nothing."""

from ftcheck.audit.rules.words import Rule

_EVERYWHERE = ("C", "Cython", "Python")
_BAD, _GOOD = "/* ftcheck: ignore[FT103] */", "/* ftcheck: ignore[FT103] the caller holds the section */"

RULES = (
    Rule(
        "FT901",
        "ignored-without-reason",
        "C",
        "a finding is to be ignored, and no reason is given",
        "Whoever reads the code later cannot know whether it still holds. The finding is reported all the same.",
        "The reason, after the bracket.",
        _BAD,
        _GOOD,
        "",
        "docs/audit-rules.md",
        _EVERYWHERE,
    ),
    Rule(
        "FT902",
        "unknown-rule-ignored",
        "C",
        "a rule is to be ignored that does not exist",
        "Most likely it is a misprint, and the finding that was meant is reported all the same.",
        "An id that `ftcheck rules --list` prints.",
        "/* ftcheck: ignore[FT130] kwargs only */",
        "/* ftcheck: ignore[FT103] kwargs only */",
        "",
        "docs/audit-rules.md",
        _EVERYWHERE,
    ),
)
