COUNT = 5


class Line:
    def __init__(self, count):
        self.count = count

    def points(self):
        return [place / self.count for place in range(self.count)]


def spread():
    return Line(COUNT).points()
