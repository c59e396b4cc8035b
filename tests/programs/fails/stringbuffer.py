"""stringbuffer-jdk1.4 of SCTBench: append() asks for a length, and then for so many characters, of which some are gone."""

import threading

from ftcheck import concurrently


class StringBuffer:
    def __init__(self, text):
        self.lock = threading.RLock()
        self.text = text

    def length(self):
        with self.lock:
            return len(self.text)

    def characters(self, begin, end):
        with self.lock:
            if end > len(self.text):
                raise IndexError("string index out of range")
            return self.text[begin:end]

    def erase(self, begin, end):
        with self.lock:
            self.text = self.text[:begin] + self.text[end:]

    def append_text(self, text):
        with self.lock:
            self.text += text

    def append(self, other):
        with self.lock:
            length = other.length()
            self.append_text(other.characters(0, length))


def program():
    source, target = StringBuffer("abc"), StringBuffer("")

    def rewrite():
        source.erase(0, 3)
        source.append_text("abc")

    concurrently(lambda: target.append(source), rewrite)
    assert target.text in ("", "abc")
