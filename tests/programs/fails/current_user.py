"""Who is served just now is an attribute of the application: another thread serves somebody else, and it changes."""

import types

from ftcheck import concurrently


class Application:
    def __init__(self):
        self.request = types.SimpleNamespace()

    def serve(self, user):
        self.request.user = user
        assert self.greeting() == f"hello {user}"

    def greeting(self):
        return f"hello {self.request.user}"


def program():
    application = Application()
    concurrently(lambda: application.serve("ann"), lambda: application.serve("bob"))
