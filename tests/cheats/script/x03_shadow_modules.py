# TECHNIQUE: shadow modules in the tree (D1, D2, D3, D4)
# ATTEMPTS: stand before the library's, or act when an interpreter starts.
# JUDGE MUST ANSWER: ACCEPT 7
print(7)
# FILE: json.py
raise SystemExit(9)
# FILE: subprocess.py
raise SystemExit(9)
# FILE: lib/os.py
raise SystemExit(9)
# FILE: sitecustomize.py
raise SystemExit(9)
# FILE: usercustomize.py
raise SystemExit(9)
# FILE: conftest.py
raise SystemExit(9)
# FILE: lib/evil.pth
import os; os._exit(9)
# FILE: lib/__pycache__/json.cpython-311.pyc
no byte code
