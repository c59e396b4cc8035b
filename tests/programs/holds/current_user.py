"""Each thread has a request of its own, in a ``threading.local``."""

import threading

from ftcheck import concurrently


class Application:
    def __init__(self):
        self.request = threading.local()

    def serve(self, user):
        self.request.user = user
        assert self.greeting() == f"hello {user}"

    def greeting(self):
        return f"hello {self.request.user}"


def program():
    application = Application()
    concurrently(lambda: application.serve("ann"), lambda: application.serve("bob"))
