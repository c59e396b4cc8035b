from datetime import datetime

from dateutil.rrule import DAILY, rrule

from ftcheck import concurrently


def test_cached_rule_is_shared():
    days = rrule(DAILY, count=3, dtstart=datetime(2026, 1, 1), cache=True)
    seen = []
    concurrently(lambda: seen.append(len(list(days))), lambda: seen.append(len(list(days))))
    assert seen == [3, 3]
