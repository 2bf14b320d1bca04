# TECHNIQUE: the honest program twice (E1)
# ATTEMPTS: a parser that takes the first or the last of two documents could be split from one that hashes both.
# JUDGE MUST ANSWER: REJECT
import os

_fdopen = os.fdopen


class _Twice:
    def __init__(self, *arguments):
        self._file = _fdopen(*arguments)

    def write(self, data):
        self._file.write(data)
        return self._file.write(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


os.fdopen = _Twice
