import factory

from ftcheck import concurrently


def test_sequence_numbers_are_unique():
    class UserFactory(factory.DictFactory):
        id = factory.Sequence(int)

    UserFactory()
    ids = []
    concurrently(lambda: ids.append(UserFactory()["id"]), lambda: ids.append(UserFactory()["id"]))
    assert len(set(ids)) == 2
