import sqlparse


def test_first_use():
    tokens = sqlparse.parse("SELECT a FROM t")[0].tokens
    assert tokens[0].ttype is sqlparse.tokens.DML
