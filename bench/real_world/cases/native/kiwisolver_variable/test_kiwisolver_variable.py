import kiwisolver

from ftcheck import concurrently


def test_threads_make_constraints_of_one_variable():
    width = kiwisolver.Variable("width")

    def constrain():
        for number in range(30):
            (width + number >= 1) | "strong"

    concurrently(constrain, constrain)
