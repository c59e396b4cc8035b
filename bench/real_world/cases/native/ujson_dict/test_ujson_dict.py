import contextlib

import ujson

from ftcheck import concurrently


def test_a_dict_is_dumped_while_its_values_are_replaced():
    shared = {str(number) * 20: str(number) * 20 for number in range(30)}

    def dump():
        for _ in range(60):
            with contextlib.suppress(RuntimeError):
                ujson.dumps(shared)

    def replace():
        for turn in range(60):
            for key in list(shared):
                shared[key] = "a" * (turn + 20) + key

    concurrently(dump, replace)
