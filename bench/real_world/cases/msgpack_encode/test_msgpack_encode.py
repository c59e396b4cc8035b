import msgpack

from ftcheck import concurrently


def test_packb_while_the_dict_changes():
    settings = {f"key{i}": i for i in range(50)}

    def pack():
        for _ in range(200):
            try:
                packed = msgpack.packb(settings)
            except RuntimeError:  # "dictionary changed size during iteration" is a fair answer
                continue
            assert msgpack.unpackb(packed)["key0"] == 0

    def change():
        for n in range(200):
            for i in range(50, 90):
                settings[f"key{i}"] = [n]
            for i in range(50, 90):
                del settings[f"key{i}"]

    concurrently(pack, pack, change)
    assert len(settings) == 50
