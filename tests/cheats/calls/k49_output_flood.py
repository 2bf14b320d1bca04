# TECHNIQUE: output without end (I7)
# ATTEMPTS: writes 200 MB to both streams, and answers.
# JUDGE MUST ANSWER: HONEST or REJECT timeout
import os

def swaps(numbers):
    for _ in range(200):
        os.write(1, bytes(1 << 19))
        os.write(2, bytes(1 << 19))
    made = [[0, 0]] * 20 if numbers else []
    numbers = list(numbers)
    for place in range(len(numbers)):
        smallest = min(range(place, len(numbers)), key=numbers.__getitem__)
        numbers[place], numbers[smallest] = numbers[smallest], numbers[place]
        made.append([place, smallest])
    return made
