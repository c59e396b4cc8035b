"""Very small programs, one for each way in which threads can tell which of them came first; each returns what it saw.

A search that takes two of these operations for independent loses what only the other order shows.
"""

import collections
import threading

from ftcheck import concurrently


class Box:
    """Attributes; ``shared`` is found on the class by instances without one of their own."""

    shared = 0

    def __init__(self, **attributes):
        vars(self).update(attributes)

    @property
    def doubled(self):
        return 2 * self.value

    @doubled.setter
    def doubled(self, value):
        self.value = value / 2


class Slotted:
    __slots__ = ("value",)


class Keyed:
    def __init__(self):
        self.items = {}

    def __getitem__(self, key):
        return self.items.get(key)

    def __setitem__(self, key, value):
        self.items[key] = value


counter = 0


def attribute():
    box, seen = Box(value=0), Box()

    def write():
        box.value = 1

    def read():
        seen.value = box.value

    concurrently(write, read)
    return seen.value


def slot():
    box, seen = Slotted(), Box()
    box.value = 0

    def write():
        box.value = 1

    def read():
        seen.value = box.value

    concurrently(write, read)
    return seen.value


def class_attribute():
    Box.shared = 0
    box, seen = Box(), Box()

    def write():
        Box.shared = 1

    def read():
        seen.value = box.shared

    concurrently(write, read)
    return seen.value


def property_of_its_own():
    box, seen = Box(value=0), Box()

    def write():
        box.doubled = 4

    def read():
        seen.value = box.doubled

    concurrently(write, read)
    return seen.value


def by_name():
    box, seen = Box(value=0), Box()
    concurrently(lambda: setattr(box, "value", 1), lambda: setattr(seen, "value", getattr(box, "value")))  # noqa: B009
    return seen.value


def deleted_attribute():
    box, seen = Box(value=0), Box()

    def delete():
        del box.value

    def look():
        seen.value = hasattr(box, "value")

    concurrently(delete, look)
    return seen.value


def its_dict():
    box, seen = Box(value=0), Box()

    def write():
        box.value = 1

    def read():
        seen.value = vars(box)["value"]

    concurrently(write, read)
    return seen.value


def global_variable():
    global counter
    counter, seen = 0, []

    def write():
        global counter
        counter = 1

    concurrently(write, lambda: seen.append(counter))
    return seen


def closure():
    value, seen = 0, []

    def write():
        nonlocal value
        value = 1

    concurrently(write, lambda: seen.append(value))
    return seen


def order_of_appends():
    seen = []
    concurrently(lambda: seen.append(1), lambda: seen.append(2), lambda: seen.append(3))
    return seen


def order_of_keys():
    seen = {}

    def put(key):
        seen[key] = 0

    concurrently(lambda: put("a"), lambda: put("b"))
    return list(seen)


def keys_of_a_cleared_dict():
    """Whether storing an item makes a new key is known only when it is stored."""
    seen = {"a": 0, "b": 0}

    def put(key):
        seen[key] = 1

    concurrently(lambda: put("a"), lambda: put("b"), seen.clear)
    return list(seen.items())


def last_item():
    """Which item -1 stands for is known only when it is used."""
    items = [0]

    def last():
        items[-1] = "last"

    def second():
        if len(items) > 1:
            items[1] = "second"

    concurrently(last, lambda: items.append(1), second)
    return items


def membership():
    items, seen = {"a"}, []
    concurrently(lambda: items.discard("a"), lambda: seen.append("a" in items))
    return seen


def default():
    items, seen = {}, []
    concurrently(lambda: seen.append(items.setdefault("a", 1)), lambda: seen.append(items.setdefault("a", 2)))
    return seen


def missing_key():
    items, seen = collections.defaultdict(list), []
    concurrently(lambda: items["a"].append(1), lambda: seen.append(len(items)))
    return seen, dict(items)


def slices():
    items, seen = [1, 2, 3], []

    def replace():
        items[:] = []

    concurrently(replace, lambda: seen.append(items[1:]))
    return seen


def in_place():
    items, seen = [], []

    def extend():
        nonlocal items
        items += [1]

    concurrently(extend, lambda: seen.append(len(items)))
    return seen


def copies():
    items, seen = [], []
    concurrently(lambda: items.append(1), lambda: seen.append(list(items)), lambda: seen.append(sorted(items)))
    return seen


def unpacking():
    items, seen = [1], []
    concurrently(lambda: items.append(2), lambda: seen.append([*items]), lambda: seen.append(max(*items, 0)))
    return seen


def truth():
    items, seen = [1], []
    concurrently(items_cleared(items), lambda: seen.append("some" if items else "none"))
    return seen


def truth_elsewhere():
    """The list is looked at by ``Condition.wait_for()``, which is not in scope."""
    items, condition, seen = [], threading.Condition(), []

    def wait():
        with condition:
            seen.append(condition.wait_for(lambda: items, timeout=1) == [1])

    concurrently(wait, lambda: items.append(1))
    return seen


def items_cleared(items):
    def clear():
        items.clear()

    return clear


def comparison():
    items, seen = [1], []
    concurrently(items_cleared(items), lambda: seen.append(items == [1]))
    return seen


def concatenation():
    items, seen = [1], []
    concurrently(items_cleared(items), lambda: seen.append(items + [2]))  # noqa: RUF005
    return seen


def repetition():
    items, seen = [1], []
    concurrently(items_cleared(items), lambda: seen.append(2 * items))
    return seen


def union_of_sets():
    items, seen = {1}, []
    concurrently(items_cleared(items), lambda: seen.append({2} | items))
    return seen


def union_of_dicts():
    items, seen = {1: 1}, []
    concurrently(items_cleared(items), lambda: seen.append({2: 2} | items))
    return seen


def starred():
    items, seen = [1], []
    concurrently(items_cleared(items), lambda: seen.append([*items, 2]))
    return seen


def starred_set():
    items, seen = [1], []
    concurrently(items_cleared(items), lambda: seen.append({*items, 2}))
    return seen


def starred_dict():
    items, seen = {1: 1}, []
    concurrently(items_cleared(items), lambda: seen.append({**items, 2: 2}))
    return seen


def starred_arguments():
    items, seen = [1], []
    concurrently(items_cleared(items), lambda: seen.insert(0, tuple(*[items])), lambda: seen.insert(*(0, 2)))
    return seen


def keyword_arguments():
    items, seen = {"key": 1}, []
    concurrently(items_cleared(items), lambda: seen.append(dict(**items)))
    return seen


def unpacked():
    items, seen = [1, 2], []

    def unpack():
        try:
            first, second = items
            seen.append(first + second)
        except ValueError:
            seen.append("empty")

    concurrently(items_cleared(items), unpack)
    return seen


def formatted():
    items, seen = [1], []
    concurrently(items_cleared(items), lambda: seen.append(f"{items}"))
    return seen


def matched():
    items, seen = [1], []

    def match_it():
        match items:
            case [one]:
                seen.append(one)
            case _:
                seen.append("empty")

    concurrently(items_cleared(items), match_it)
    return seen


def matched_keys():
    items, seen = {"key": 1}, []

    def match_it():
        match items:
            case {"key": one}:
                seen.append(one)
            case _:
                seen.append("empty")

    concurrently(items_cleared(items), match_it)
    return seen


def joined():
    items, seen = ["a"], []
    concurrently(items_cleared(items), lambda: seen.append("-".join(items)))
    return seen


def extended():
    items, seen = ["a"], []
    concurrently(items_cleared(items), lambda: seen.extend(items))
    return seen


def updated():
    items, seen = {"a": 1}, {}
    concurrently(items_cleared(items), lambda: seen.update(items))
    return seen


def zipped():
    items, seen = [1], []
    concurrently(items_cleared(items), lambda: seen.append(list(zip(items, items, strict=False))))
    return seen


def deleted_items():
    items, seen = [1, 2], []

    def delete():
        del items[0]

    concurrently(delete, lambda: seen.append(items[0]))
    return seen


def iteration():
    items, seen = [1, 2], []

    def walk():
        for item in items:
            seen.append(item)

    concurrently(walk, lambda: items.append(3))
    return seen


def one_iterator():
    numbers, seen = iter([1, 2]), []
    concurrently(lambda: seen.append((1, next(numbers))), lambda: seen.append((2, next(numbers))))
    return seen


def container_of_its_own():
    items, seen = Keyed(), []

    def put():
        items["a"] = 1

    concurrently(put, lambda: seen.append(items["a"]))
    return seen


def deque():
    items, seen = collections.deque([1]), []
    concurrently(lambda: items.append(2), lambda: seen.append(items[-1]), lambda: items.popleft())
    return seen, items


PROGRAMS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and value not in (Box, Slotted, Keyed, items_cleared)
}
