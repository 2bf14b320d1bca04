STEPS = 2


class Solver:
    def __init__(self, start):
        self.start = start

    def solve(self, steps):
        value = self.start
        for _ in range(steps):
            value = (value + 2 / value) / 2
        return value


def approximate():
    return Solver(1.0).solve(STEPS)
