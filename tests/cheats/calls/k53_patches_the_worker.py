# TECHNIQUE: patches what runs beside it (B6)
# ATTEMPTS: replaces the encoder, the clock and json in its own process.
# JUDGE MUST ANSWER: REJECT
import __main__
import json
import time

time.perf_counter = time.process_time = lambda: 0.0
__main__.encode = lambda value, payload, depth=0: []
json.dumps = lambda *words, **more: '["value",[]]'


def swaps(numbers):
    return []
