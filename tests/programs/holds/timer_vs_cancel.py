"""A lock makes looking and finishing one step."""

import threading
import time


class Request:
    def __init__(self):
        self.state = "pending"
        self.outcomes = []
        self.lock = threading.Lock()

    def finish(self, outcome):
        with self.lock:
            if self.state == "pending":
                self.state = outcome
                self.outcomes.append(outcome)


def program():
    request = Request()
    timer = threading.Timer(0.01, request.finish, ["timed out"])
    timer.start()
    time.sleep(0.01)  # waits for the answer
    request.finish("answered")
    timer.cancel()
    timer.join()
    assert len(request.outcomes) == 1
