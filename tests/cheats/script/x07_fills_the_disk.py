# TECHNIQUE: disk (I6)
# ATTEMPTS: writes until nothing is left.
# JUDGE MUST ANSWER: ACCEPT 7 or REJECT
try:
    for number in range(1000):
        with open(f"{number}", "wb") as file:
            file.write(bytes(8 << 20))
except OSError:
    pass
print(7)
