def swaps(numbers):
    """Smallest first; a place is swapped with itself where it is right already."""
    numbers, made = list(numbers), []
    for place in range(len(numbers)):
        smallest = min(range(place, len(numbers)), key=numbers.__getitem__)
        numbers[place], numbers[smallest] = numbers[smallest], numbers[place]
        made.append([place, smallest])
    return made
