from pyparsing import Literal, ParserElement

from ftcheck import concurrently


def test_two_threads_parse():
    ParserElement.enable_packrat(cache_size_limit=1)
    answer = Literal("yes") | Literal("no")
    answer.parse_string("no")
    concurrently(lambda: answer.parse_string("no"), lambda: answer.parse_string("no"))
