"""The letter is put in first."""

import time

from ftcheck import concurrently


class Mailbox:
    def __init__(self):
        self.letter = None
        self.full = False

    def send(self):
        self.letter = "hello"
        self.full = True

    def receive(self):
        while not self.full:
            time.sleep(0)
        assert self.letter == "hello"


def program():
    mailbox = Mailbox()
    concurrently(mailbox.send, mailbox.receive)
