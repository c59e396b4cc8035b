import threading


class Stock:
    def __init__(self, items):
        self.items = list(items)
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            if self.items:
                return self.items.pop()
            return None
