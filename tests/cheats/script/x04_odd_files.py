# TECHNIQUE: odd files in the work room (F4, L1, L5)
# ATTEMPTS: links out of it, FIFOs, a sparse terabyte, names with newlines.
# JUDGE MUST ANSWER: ACCEPT 7
import os

for way in (
    lambda: os.symlink("/etc/passwd", "link"),
    lambda: os.symlink("..", "up"),
    lambda: os.mkfifo("pipe"),
    lambda: os.truncate(os.open("sparse", os.O_CREAT | os.O_WRONLY), 1 << 40),
    lambda: open("score: 99\n\u202e", "w").close(),
    lambda: os.rename("program.py", "gone.py"),
):
    try:
        way()
    except OSError:
        pass
print(7)
