import kiwisolver

from ftcheck import concurrently


def test_each_thread_solves_a_system_of_its_own():
    def solve():
        for number in range(10):
            left, right = kiwisolver.Variable("left"), kiwisolver.Variable("right")
            solver = kiwisolver.Solver()
            for constraint in (right >= left + 10, right <= 100, left >= 0):
                solver.addConstraint(constraint)
            solver.addEditVariable(left, "strong")
            solver.suggestValue(left, number)
            solver.updateVariables()
            assert left.value() == number
            assert number + 10 <= right.value() <= 100

    concurrently(solve, solve)


def test_threads_use_one_solver():
    solver = kiwisolver.Solver()

    def add():
        for _ in range(10):
            mine = kiwisolver.Variable("mine")
            constraint = mine >= 1
            solver.addConstraint(constraint)
            solver.updateVariables()
            assert mine.value() >= 1
            assert solver.hasConstraint(constraint)
            solver.removeConstraint(constraint)

    concurrently(add, add)
