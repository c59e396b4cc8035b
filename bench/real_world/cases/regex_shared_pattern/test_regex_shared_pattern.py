import regex

WORD = regex.compile(r"(\w+)\s+(?:\w+\s+)*?(\w+)")


def test_compiled_pattern_can_be_shared():
    for _ in range(500):
        assert WORD.search("one two three four").group(1, 2) == ("one", "two")
        assert len(WORD.findall("hello world test string")) == 2
