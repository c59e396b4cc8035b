"""Two tasks of an executor count in one attribute."""

import concurrent.futures


class Progress:
    def __init__(self):
        self.done = 0

    def step(self):
        self.done += 1


def program():
    progress = Progress()
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as executor:
        for future in [executor.submit(progress.step), executor.submit(progress.step)]:
            future.result()
    assert progress.done == 2
