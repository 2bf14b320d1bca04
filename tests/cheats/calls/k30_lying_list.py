# TECHNIQUE: a list that lies (C1, C2)
# ATTEMPTS: equal to everything, of no length, iterated over differently each time.
# JUDGE MUST ANSWER: REJECT
class Lying(list):
    __hash__ = None

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __len__(self):
        return 0

    def __iter__(self):
        return iter(())


def swaps(numbers):
    return Lying([[0, 0]])
