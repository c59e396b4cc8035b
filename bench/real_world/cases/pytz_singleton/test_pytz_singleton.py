import pytz

from ftcheck import concurrently


def test_timezone_is_one_object():
    pytz._tzinfo_cache.clear()
    seen = []
    concurrently(lambda: seen.append(pytz.timezone("Europe/Zurich")), threads=4)
    assert len({id(zone) for zone in seen}) == 1
