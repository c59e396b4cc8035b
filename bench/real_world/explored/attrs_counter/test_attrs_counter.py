import attr

from ftcheck import concurrently


def define():
    @attr.s
    class Point:
        a = attr.ib()
        b = attr.ib()
        c = attr.ib()
        d = attr.ib()

    assert [one.name for one in attr.fields(Point)] == ["a", "b", "c", "d"]


def test_attributes_are_in_the_order_of_the_class():
    concurrently(define, define)
