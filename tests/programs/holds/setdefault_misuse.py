"""What ``setdefault`` gives is the list that all have: append to it."""

from ftcheck import concurrently


class Groups:
    def __init__(self):
        self.members = {}

    def add(self, group, name):
        self.members.setdefault(group, []).append(name)


def program():
    groups = Groups()
    concurrently(lambda: groups.add("staff", "ann"), lambda: groups.add("staff", "bob"))
    assert sorted(groups.members["staff"]) == ["ann", "bob"]
