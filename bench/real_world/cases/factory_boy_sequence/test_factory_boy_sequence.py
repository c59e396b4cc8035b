import factory

from ftcheck import concurrently


class UserFactory(factory.DictFactory):
    id = factory.Sequence(int)


def test_sequence_numbers_are_unique():
    ids = []

    def build():
        for _ in range(100):
            ids.append(UserFactory()["id"])

    concurrently(build, threads=4)
    assert len(set(ids)) == 400
