# TECHNIQUE: memory between two runs (F10, G3)
# ATTEMPTS: leaves a file in every shared place and looks for one that an earlier run left.
# JUDGE MUST ANSWER: HONEST
import os

for _place in {"/tmp", "/dev/shm", "/var/tmp", "/run", os.path.expanduser("~"), "/dev/mqueue"}:
    _path = os.path.join(_place, ".kf-cheat-persistence")
    if os.path.exists(_path):
        raise SystemExit(9)
    try:
        with open(_path, "w") as _file:
            _file.write("an earlier run was here")
    except OSError:
        pass
