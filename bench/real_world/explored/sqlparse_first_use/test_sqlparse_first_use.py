import sqlparse
from sqlparse.lexer import Lexer

from ftcheck import concurrently


def test_first_use():
    Lexer._default_intance = Lexer._default_instance = None  # as in a new process

    def parse():
        tokens = sqlparse.parse("SELECT a")[0].tokens
        assert tokens[0].ttype is sqlparse.tokens.DML

    concurrently(parse, parse)
