"""``dict.pop`` with a default looks and deletes in one step."""

from ftcheck import concurrently


class Sessions:
    def __init__(self):
        self.open = {"alice": 1}

    def close(self, user):
        self.open.pop(user, None)


def program():
    sessions = Sessions()
    concurrently(lambda: sessions.close("alice"), lambda: sessions.close("alice"))
    assert sessions.open == {}
