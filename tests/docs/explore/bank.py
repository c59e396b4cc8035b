import threading


class Account:
    def __init__(self, balance):
        self.balance = balance
        self.lock = threading.Lock()

    def transfer(self, other, amount):
        with self.lock:  # noqa: SIM117
            with other.lock:
                self.balance -= amount
                other.balance += amount
