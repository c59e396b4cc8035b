"""``if key in d: del d[key]``: another thread deletes it in between, KeyError."""

from ftcheck import concurrently


class Sessions:
    def __init__(self):
        self.open = {"alice": 1}

    def close(self, user):
        if user in self.open:
            del self.open[user]


def program():
    sessions = Sessions()
    concurrently(lambda: sessions.close("alice"), lambda: sessions.close("alice"))
    assert sessions.open == {}
