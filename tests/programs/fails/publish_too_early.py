"""A letter is said to be there before it is: who spins until it is there finds nothing."""

import time

from ftcheck import concurrently


class Mailbox:
    def __init__(self):
        self.letter = None
        self.full = False

    def send(self):
        self.full = True
        self.letter = "hello"

    def receive(self):
        while not self.full:
            time.sleep(0)
        assert self.letter == "hello"


def program():
    mailbox = Mailbox()
    concurrently(mailbox.send, mailbox.receive)
