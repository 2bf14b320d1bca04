"""An evaluator as people write them for other tools: it imports the program by its path and calls it."""

import concurrent.futures
import importlib.util
import traceback


def evaluate(program_path):
    try:
        spec = importlib.util.spec_from_file_location("program", program_path)
        program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(program)
        if not hasattr(program, "approximate"):
            return {"combined_score": 0.0, "error": "no approximate()"}
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            value = float(pool.submit(program.approximate).result(timeout=10))
        other = program.Solver(1.5).solve(program.STEPS)
        error = abs(value * value - 2)
        return {"combined_score": 1 / (1 + error), "error_size": error, "solver_ok": float(abs(other**2 - 2) < 1)}
    except Exception as e:
        traceback.print_exc()
        return {"combined_score": 0.0, "error": str(e)}
