# TECHNIQUE: none: a slow program, within its limits
# ATTEMPTS: nothing.
# JUDGE MUST ANSWER: ACCEPT 32
import time

def swaps(numbers):
    time.sleep(0.3)
    made = [[0, 0]] * 20 if numbers else []
    numbers = list(numbers)
    for place in range(len(numbers)):
        smallest = min(range(place, len(numbers)), key=numbers.__getitem__)
        numbers[place], numbers[smallest] = numbers[smallest], numbers[place]
        made.append([place, smallest])
    return made
