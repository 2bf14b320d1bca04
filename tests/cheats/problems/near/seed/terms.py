def terms(x):
    made, term = [], 1.0
    for number in range(1, 21):
        made.append(term)
        term *= x / number
    return made
