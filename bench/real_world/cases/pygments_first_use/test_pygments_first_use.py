from pygments import lex
from pygments.lexer import RegexLexer, combined
from pygments.token import Name, Number, String

from ftcheck import concurrently


def make_lexer():
    class ConfigLexer(RegexLexer):
        tokens = {  # noqa: RUF012
            "root": [
                (r'"', String.Double, combined("escape", "double")),
                (r"'", String.Single, combined("escape", "single")),
                (r"`", String.Backtick, combined("escape", "backtick")),
                (r"<", Number, combined("escape", "number")),
                (r"\w+|\s+", Name),
            ],
            "escape": [(r"\\.", String.Escape)],
            "double": [(r'"', String.Double, "#pop"), (r'[^"\\]+', String.Double)],
            "single": [(r"'", String.Single, "#pop"), (r"[^'\\]+", String.Single)],
            "backtick": [(r"`", String.Backtick, "#pop"), (r"[^`\\]+", String.Backtick)],
            "number": [(r">", Number, "#pop"), (r"[^>\\]+", Number)],
        }

    return ConfigLexer


TEXT = "a \"b\\n\" 'c' `d` <1>\n"
EXPECTED = list(lex(TEXT, make_lexer()()))


def test_lexer_class_used_first_in_threads():
    lexer = make_lexer()

    def tokenize():
        assert list(lex(TEXT, lexer())) == EXPECTED

    concurrently(tokenize, threads=4)
    tokenize()
