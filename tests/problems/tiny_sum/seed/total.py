def total(numbers):
    result, additions = 0, 0
    for number in numbers:
        result += number
        additions += 1
    return [result, additions + 10]
