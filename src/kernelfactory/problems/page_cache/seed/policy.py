"""Which page goes when the cache is full: the one that is worth least."""

FADES = 10.0  # a use counts half when so many questions have passed,
AGES = 30.0  # and a page has lost the worth of one use when it has been in for so many


class Policy:
    def __init__(self, slots):
        self.slots = slots
        self.now = 0
        self.came = {}  # the pages that are in the cache
        self.used = {}
        self.uses = {}

    def asked(self, page):
        """A page is asked for. It is in the cache already, or has come in just now."""
        self.now += 1
        self.came.setdefault(page, self.now)
        self.uses[page] = self.faded(page) + 1.0
        self.used[page] = self.now

    def drop(self, page):
        """Which page goes, because this one comes in and there is no room."""
        victim = min(self.came, key=self.worth)
        del self.came[victim]
        del self.used[victim]
        del self.uses[victim]
        return victim

    def worth(self, page):
        return self.faded(page) - (self.now - self.came[page]) / AGES

    def faded(self, page):
        age = self.now - self.used.get(page, self.now)
        return self.uses.get(page, 0.0) * 0.5 ** (age / FADES)
