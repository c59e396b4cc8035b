import regex

from ftcheck import concurrently


def test_threads_detach_the_string_of_one_match():
    matches = [regex.search(r"b+", f"a{'b' * number}c") for number in range(1, 50)]

    def detach():
        for match in matches:
            match.detach_string()
            assert match.group()[0] == "b"

    concurrently(detach, detach)
