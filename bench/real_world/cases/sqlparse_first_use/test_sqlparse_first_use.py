import sqlparse
from sqlparse.lexer import Lexer


def test_first_use():
    tokens = sqlparse.parse("SELECT a FROM t")[0].tokens
    assert tokens[0].ttype is sqlparse.tokens.DML
