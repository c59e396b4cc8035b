"""``setdefault`` gives the list in one step, but a longer copy of it is written back: the other thread's entry is lost."""

from ftcheck import concurrently


class Groups:
    def __init__(self):
        self.members = {}

    def add(self, group, name):
        self.members[group] = [*self.members.setdefault(group, []), name]


def program():
    groups = Groups()
    concurrently(lambda: groups.add("staff", "ann"), lambda: groups.add("staff", "bob"))
    assert sorted(groups.members["staff"]) == ["ann", "bob"]
