"""As people write them: imports the program by its path, in a thread with a time limit, and catches everything."""

import concurrent.futures
import importlib.util
import traceback


def run_with_timeout(function, seconds):
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(function).result(timeout=seconds)


def evaluate(program_path):
    try:
        spec = importlib.util.spec_from_file_location("program", program_path)
        program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(program)
        if not hasattr(program, "spread"):
            return {"combined_score": 0.0, "error": "no spread()"}
        points = run_with_timeout(program.spread, 0.5)
        if len(points) != 5:
            return {"combined_score": 0.0, "error": "not five points"}
        points = sorted(float(point) for point in points)
        if points[0] < 0 or points[-1] > 1:
            return {"combined_score": 0.0, "error": "not between 0 and 1"}
        gap = min(b - a for a, b in zip(points, points[1:]))
        return {"combined_score": gap * 4, "gap": gap}
    except Exception as error:
        traceback.print_exc()
        return {"combined_score": 0.0, "error": str(error)}
