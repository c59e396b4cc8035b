"""A stack without locks: compare-and-swap finds the same node on top again, but what is below it has changed (ABA)."""

import threading

from ftcheck import concurrently


class Node:
    def __init__(self, name, below):
        self.name, self.below = name, below


class Stack:
    def __init__(self):
        self.top = Node("a", Node("b", Node("c", None)))
        self.swapping = threading.Lock()

    def compare_and_swap(self, expected, new):
        with self.swapping:
            if self.top is not expected:
                return False
            self.top = new
            return True

    def pop(self):
        while True:
            top = self.top
            if self.compare_and_swap(top, top.below):
                return top

    def push(self, node):
        while True:
            top = self.top
            node.below = top
            if self.compare_and_swap(top, node):
                return

    def names(self):
        node = self.top
        while node is not None:
            yield node.name
            node = node.below


def program():
    stack, kept = Stack(), []

    def keep_first():
        kept.append(stack.pop().name)

    def keep_second():
        first, second = stack.pop(), stack.pop()
        stack.push(first)
        kept.append(second.name)

    concurrently(keep_first, keep_second)
    assert sorted([*kept, *stack.names()]) == ["a", "b", "c"]
