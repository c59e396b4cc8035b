from ua_parser import user_agent_parser

from ftcheck import concurrently


def test_two_visitors_of_a_full_cache():
    user_agent_parser.MAX_CACHE_SIZE = 1
    user_agent_parser._PARSE_CACHE.clear()
    user_agent_parser.ParseUserAgent("Wget/1.21")
    parse = user_agent_parser.ParseUserAgent
    concurrently(lambda: parse("curl/8.5.0"), lambda: parse("HTTPie/3.2"))
