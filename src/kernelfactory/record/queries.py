"""The longer questions to the record, as SQL. Refuses to ask them. `{order}` is ASC or DESC, `{pick}` min or max, by
the goal."""

from __future__ import annotations

from kernelfactory.record.rows import Attempt, columns

REUSABLE = ("wrong_answer", "malformed", "forged", "over_limit")
"""Reason codes that the same tree would get again; timeouts and crashes may be bad luck and are judged anew."""

ATTEMPT = columns(Attempt, "attempt")
NOTE = "attempt, ifnull(outcome, 'none') AS outcome, score, notes AS text, agent"
TOLD = "(SELECT ifnull(m.screened, attempt.score) FROM measurement m WHERE m.measurement = attempt.measurement)"
"""The score of an attempt's result as agents may know it: never one that data for confirmations has made."""
TOLD_NOTE = NOTE.replace("score", f"iif(score IS NULL, NULL, {TOLD}) AS score")
REASONS = """
SELECT reason_code, count(*) FROM measurement WHERE attempt > 0 AND verdict = 'rejected' AND reason_code IS NOT NULL
GROUP BY reason_code"""
EVENTS = """
SELECT e.seq, e.kind, e.attempt, a.parent, a.island, a.move,
  CASE WHEN e.kind IN ('judged', 'abandoned') THEN a.outcome END,
  CASE m.verdict WHEN 'accepted' THEN m.score END, m.tree, CASE m.verdict WHEN 'accepted' THEN m.measures END,
  ifnull(m.trust, 'judged'), ifnull(m.confirmed, 0), e.flagged
FROM event e JOIN attempt a ON a.attempt = e.attempt LEFT JOIN measurement m ON m.measurement = e.measurement
WHERE e.seq > ? ORDER BY e.seq LIMIT ?"""
STANDING = """
SELECT m.* FROM measurement m WHERE m.attempt = ? AND m.verdict = 'accepted' AND NOT EXISTS (
  SELECT 1 FROM measurement later WHERE later.attempt = m.attempt AND later.tree = m.tree
  AND later.number > m.number AND later.purpose IN ('confirm', 'rejudge', 'release'))
ORDER BY m.score {order}, m.number DESC LIMIT 1"""
CACHED = f"""
SELECT * FROM measurement WHERE tree = ? AND ruler_digest = ? AND jail = ? AND trust = ? AND cached_from IS NULL
AND (verdict = 'accepted' OR (verdict = 'rejected' AND reason_code IN ({", ".join(f"'{code}'" for code in REUSABLE)})))
ORDER BY purpose <> 'screen' DESC, measurement DESC LIMIT 1"""
BEST = """
SELECT attempt, measurement, score, "commit", tree, trust FROM attempt
WHERE confirmed = 1 AND score IS NOT NULL AND trust = ? ORDER BY score {order}, attempt LIMIT 1"""
RUNNER_UP = """
SELECT attempt, measurement, score, "commit", tree, trust FROM attempt
WHERE confirmed = 1 AND score IS NOT NULL AND trust = ? AND tree <> ? ORDER BY score {order}, attempt LIMIT 1"""
HELD = """
SELECT m.measurement, m.attempt, m.at, a.parent, a.agent, m.score, m.reason, m.tree, m."commit", a.parent_score,
  count(*) OVER (PARTITION BY m.attempt) AS programs
FROM measurement m JOIN attempt a USING (attempt)
WHERE m.verdict = 'quarantined' AND m.attempt > 0 AND a.state = 'judged' AND m.cached_from IS NULL
  AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.attempt = m.attempt OR d.tree = m.tree)
ORDER BY m.attempt, m.score {order}, m.measurement"""
TWINS = """
SELECT DISTINCT m.attempt FROM measurement m JOIN attempt a USING (attempt)
WHERE m.tree = ? AND m.verdict = 'quarantined' AND a.state = 'judged' ORDER BY m.attempt"""
HELD_TREE = """
SELECT * FROM measurement WHERE tree = ? AND ruler_digest = ? AND jail = ? AND verdict = 'quarantined'
ORDER BY measurement DESC LIMIT 1"""
LINEAGE = """
WITH RECURSIVE line (attempt, depth) AS (
  SELECT ?, 0 UNION ALL
  SELECT a.parent, depth + 1 FROM line JOIN attempt a USING (attempt) WHERE a.parent IS NOT NULL AND depth + 1 < ?)
SELECT attempt FROM line ORDER BY depth"""
ISLANDS = """
WITH start (island, first) AS (
  SELECT value, ifnull((SELECT max(attempt) FROM attempt WHERE island = value AND move = 'restart'), 1)
  FROM json_each(?))
SELECT island, first,
  (SELECT count(*) FROM attempt a WHERE a.island = start.island AND attempt > 0) AS visits,
  (SELECT count(score) FROM attempt a WHERE a.island = start.island AND attempt >= first) AS candidates,
  (SELECT {pick}(score) FROM attempt a WHERE a.island = start.island AND attempt >= first) AS best
FROM start ORDER BY island"""
STALE = """
SELECT count(*) FROM attempt WHERE island = ? AND outcome IS NOT NULL AND attempt > ifnull(
  (SELECT attempt FROM attempt WHERE island = ? AND attempt >= ? AND score = ? ORDER BY attempt LIMIT 1), 0)"""
UNTOLD = """
SELECT 1 FROM attempt a JOIN agent g ON g.run = a.run AND g.agent = a.agent AND g.model = ifnull(a.model, '')
WHERE a.attempt = ? AND g.costs_money = 1 AND NOT (g.streams = 1 AND (a.tokens > 0 OR a.dollars > 0.0))"""
RUNNING = """
SELECT attempt, a.agent, dollars, tokens, ifnull(costs_money, 0) AS costs_money, ifnull(streams, 0) AS streams,
  a.state = 'submitted' AS told
FROM attempt a LEFT JOIN agent g ON g.run = a.run AND g.agent = a.agent AND g.model = ifnull(a.model, '')
WHERE a.state IN ('claimed', 'submitted') ORDER BY attempt"""
ACCOUNTS = """
SELECT agent, max(costs_money) AS costs_money, min(streams) AS streams, min(cap_dollars) AS cap_dollars,
  min(cap_tokens) AS cap_tokens, min(cap_attempt_dollars) AS cap_attempt_dollars,
  min(cap_attempt_tokens) AS cap_attempt_tokens
FROM agent WHERE run = (SELECT max(run) FROM run) GROUP BY agent"""
KEPT = """
SELECT attempt, agent, model, session, workspace, home_until AS until, score FROM attempt
WHERE home_until > ? AND "end" IN ('limit', 'interrupted') AND state IN ('judged', 'abandoned')
  AND session IS NOT NULL AND workspace IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM attempt later WHERE later.continues = attempt.attempt)
ORDER BY attempt"""
