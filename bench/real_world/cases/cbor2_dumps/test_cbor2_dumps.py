import cbor2

from ftcheck import concurrently


def test_dumps_while_the_dict_changes():
    settings = {f"key{i}": i for i in range(50)}

    def dump():
        for _ in range(200):
            try:
                packed = cbor2.dumps(settings)
            except RuntimeError:  # "dictionary changed size during iteration" is a fair answer
                continue
            assert cbor2.loads(packed)["key0"] == 0

    def change():
        for n in range(200):
            for i in range(50, 90):
                settings[f"key{i}"] = [n]
            for i in range(50, 90):
                del settings[f"key{i}"]

    concurrently(dump, dump, change)
    assert len(settings) == 50
