# TECHNIQUE: none: an honest improvement
# ATTEMPTS: nothing: the points farther apart.
# JUDGE MUST ANSWER: ACCEPT 1
COUNT = 5


class Line:
    def __init__(self, count):
        self.count = count

    def points(self):
        return [place / (self.count - 1) for place in range(self.count)]


def spread():
    return Line(COUNT).points()
