def network(wires):
    comparators = []
    for last in range(wires - 1, 0, -1):
        for low in range(last):
            comparators.append((low, low + 1))
    return comparators
