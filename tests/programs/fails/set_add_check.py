"""A crawler asks a set whether a page is new, and then adds it: two threads are told that the same page is new."""

from ftcheck import concurrently


class Seen:
    def __init__(self):
        self.pages = set()

    def is_new(self, page):
        if page in self.pages:
            return False
        self.pages.add(page)
        return True


def program():
    seen, answers = Seen(), []
    concurrently(lambda: answers.append(seen.is_new("/")), lambda: answers.append(seen.is_new("/")))
    assert sorted(answers) == [False, True]
