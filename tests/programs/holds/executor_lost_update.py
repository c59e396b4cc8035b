"""Each task gives its part to who waits for it; the total is made there."""

import concurrent.futures


class Progress:
    def __init__(self):
        self.done = 0

    def step(self):
        return 1


def program():
    progress = Progress()
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as executor:
        for future in [executor.submit(progress.step), executor.submit(progress.step)]:
            progress.done += future.result()
    assert progress.done == 2
