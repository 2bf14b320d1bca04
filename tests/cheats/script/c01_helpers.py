# TECHNIQUE: none: processes, threads and files of its own
# ATTEMPTS: nothing.
# JUDGE MUST ANSWER: ACCEPT 42
import subprocess
import sys
import threading

found = []
threads = [threading.Thread(target=found.append, args=(6,)) for _ in range(7)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open("partial.txt", "w") as file:
    file.write(str(sum(found)))
subprocess.run([sys.executable, "-I", "-c", "print(open('partial.txt').read())"], check=True)
print("score: 100" * 1000, file=sys.stderr)
