"""As :mod:`tests.explore.small`: programs that tell the order of threads, by ways round the usual operations."""

from ftcheck import concurrently


class Box:
    shared = 0

    def __init__(self):
        self.value = 0


class Through(dict):
    """Its item is set by the slot of the class above."""

    def put(self, key, value):
        super().__setitem__(key, value)


number = 0


def both(write, read):
    """What the reader sees of two looks, which differ if the write comes in between."""
    seen = []
    concurrently(write, lambda: seen.extend((read(), read())))
    return seen


def slot_wrapper():
    items = [0]
    return both(lambda: list.__setitem__(items, 0, 1), lambda: items[0])


def slot_wrapper_that_reads():
    items = [0]

    def write():
        items[0] = 1

    return both(write, lambda: list.__getitem__(items, 0))


def bound_slot():
    items = {"a": 0}
    put = items.__setitem__
    return both(lambda: put("a", 1), lambda: items["a"])


def slot_of_the_class_above():
    items = Through(a=0)
    return both(lambda: items.put("a", 1), lambda: items["a"])


def namespace():
    box = Box()

    def write():
        box.__dict__["value"] = 1

    return both(write, lambda: box.value)


def namespace_by_vars():
    box = Box()

    def write():
        vars(box)["value"] = 1

    return both(write, lambda: box.value)


def set_by_name():
    box = Box()
    return both(lambda: setattr(box, "value", 1), lambda: box.value)


def set_by_the_slot_of_object():
    box = Box()
    return both(lambda: object.__setattr__(box, "value", 1), lambda: box.value)


def set_on_the_class_by_name():
    Box.shared = 0
    return both(lambda: setattr(Box, "shared", 1), lambda: Box().shared)


def set_on_the_class_by_slot():
    Box.shared = 0
    return both(lambda: type.__setattr__(Box, "shared", 1), lambda: Box().shared)


def set_in_globals():
    global number
    number = 0

    def write():
        globals()["number"] = 1

    return both(write, lambda: number)


PROGRAMS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and value not in (Box, Through, both)
}
