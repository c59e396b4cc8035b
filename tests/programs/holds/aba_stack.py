"""A stack without locks: each change puts a new object on top, so that compare-and-swap sees every one of them."""

import threading

from ftcheck import concurrently


class Node:
    def __init__(self, name, below):
        self.name, self.below = name, below


class Top:
    def __init__(self, node):
        self.node = node


class Stack:
    def __init__(self):
        self.top = Top(Node("a", Node("b", Node("c", None))))
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
            if self.compare_and_swap(top, Top(top.node.below)):
                return top.node

    def push(self, node):
        while True:
            top = self.top
            node.below = top.node
            if self.compare_and_swap(top, Top(node)):
                return

    def names(self):
        node = self.top.node
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
