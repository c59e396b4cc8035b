"""A lock makes asking and adding one step."""

import threading

from ftcheck import concurrently


class Seen:
    def __init__(self):
        self.pages = set()
        self.lock = threading.Lock()

    def is_new(self, page):
        with self.lock:
            if page in self.pages:
                return False
            self.pages.add(page)
            return True


def program():
    seen, answers = Seen(), []
    concurrently(lambda: answers.append(seen.is_new("/")), lambda: answers.append(seen.is_new("/")))
    assert sorted(answers) == [False, True]
