import pytz

from ftcheck import concurrently


def test_timezone_is_one_object():
    pytz._tzinfo_cache.clear()
    seen = []

    def look_up():
        seen.append(pytz.timezone("Europe/Zurich"))

    concurrently(look_up, look_up)
    assert seen[0] is seen[1]
