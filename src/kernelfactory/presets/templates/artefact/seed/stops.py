"""The stops. The judge has a copy of its own: changing this one changes nothing."""

STOPS = [((37 * i) % 101, (61 * i * i) % 103) for i in range(30)]
