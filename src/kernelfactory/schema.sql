-- The record of one experiment, version 3. Every table and column is explained in docs/record.md.
-- Times are epoch seconds, sizes of money US dollars; names that are SQL words ("commit", "end") are quoted.

CREATE TABLE experiment (
  experiment INTEGER PRIMARY KEY CHECK (experiment = 1),
  name TEXT NOT NULL,
  problem TEXT NOT NULL,
  digest TEXT NOT NULL,
  metric TEXT NOT NULL,
  unit TEXT NOT NULL,
  goal TEXT NOT NULL CHECK (goal IN ('min', 'max')),
  impossible REAL,
  reference TEXT NOT NULL,
  policy TEXT NOT NULL,
  islands INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  agents TEXT NOT NULL,
  private INTEGER NOT NULL CHECK (private IN (0, 1)),
  created_at REAL NOT NULL
) STRICT;

CREATE TABLE axis (
  axis INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  low REAL NOT NULL,
  high REAL NOT NULL
) STRICT;

CREATE TABLE run (
  run INTEGER PRIMARY KEY,
  started_at REAL NOT NULL,
  ended_at REAL,
  state TEXT NOT NULL CHECK (state IN ('running', 'stopped', 'finished')),
  why TEXT,
  pid INTEGER NOT NULL,
  cap_attempts INTEGER,
  cap_seconds REAL,
  cap_dollars REAL,
  cap_tokens INTEGER,
  target REAL,
  attempt_seconds REAL NOT NULL,
  jail TEXT NOT NULL,
  trust TEXT NOT NULL,
  ruler_backend TEXT NOT NULL,
  ruler_digest TEXT NOT NULL,
  unprotected INTEGER NOT NULL CHECK (unprotected IN (0, 1)),
  cap_attempt_dollars REAL,
  cap_attempt_tokens INTEGER,
  nudges INTEGER,
  switching INTEGER NOT NULL DEFAULT 1 CHECK (switching IN (0, 1)),
  CHECK ((state = 'running') = (ended_at IS NULL))
) STRICT;

CREATE TABLE agent (
  run INTEGER NOT NULL REFERENCES run,
  agent TEXT NOT NULL,
  model TEXT NOT NULL,
  slots INTEGER NOT NULL,
  costs_money INTEGER NOT NULL CHECK (costs_money IN (0, 1)),
  paused_until REAL,
  paused_why TEXT,
  streams INTEGER NOT NULL DEFAULT 0 CHECK (streams IN (0, 1)),
  cap_dollars REAL,
  cap_tokens INTEGER,
  cap_attempt_dollars REAL,
  cap_attempt_tokens INTEGER,
  PRIMARY KEY (run, agent, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
  attempt INTEGER PRIMARY KEY,
  run INTEGER REFERENCES run,
  -- what was chosen, and why
  parent INTEGER REFERENCES attempt,
  island INTEGER NOT NULL,
  move TEXT NOT NULL CHECK (move IN ('seed', 'select', 'explore', 'pivot', 'migrate', 'restart', 'continue')),
  reason TEXT NOT NULL,
  share_notes INTEGER NOT NULL CHECK (share_notes IN (0, 1)),
  inspirations TEXT NOT NULL,
  parent_score REAL,
  best_before REAL,
  continues INTEGER REFERENCES attempt,
  late_of INTEGER REFERENCES attempt,
  -- who works on it
  agent TEXT NOT NULL,
  model TEXT,
  worker TEXT NOT NULL,
  cage TEXT NOT NULL,
  token_hash TEXT,
  lease_until REAL,
  workspace TEXT,
  brief TEXT,
  prompt TEXT,
  -- where it stands
  state TEXT NOT NULL CHECK (state IN ('claimed', 'submitted', 'judged', 'abandoned')),
  started_at REAL NOT NULL,
  submitted_at REAL,
  ended_at REAL,
  "end" TEXT CHECK ("end" IN ('finished', 'limit', 'timeout', 'interrupted', 'failed', 'budget')),
  fault TEXT,
  notes TEXT NOT NULL DEFAULT '',
  -- what was spent
  seconds REAL NOT NULL DEFAULT 0.0,
  tokens INTEGER NOT NULL DEFAULT 0,
  dollars REAL DEFAULT 0.0,
  measurements INTEGER NOT NULL DEFAULT 0,
  quick_tries INTEGER NOT NULL DEFAULT 0,
  -- what came of it
  outcome TEXT CHECK (outcome IN ('improved', 'equal', 'worse', 'rejected', 'quarantined', 'none')),
  measurement INTEGER REFERENCES measurement,
  "commit" TEXT,
  tree TEXT,
  score REAL,
  delta REAL,
  trust TEXT CHECK (trust IN ('judged', 'judged-weak', 'unprotected', 'self-reported')),
  confirmed INTEGER NOT NULL DEFAULT 0 CHECK (confirmed IN (0, 1)),
  flagged INTEGER NOT NULL DEFAULT 0 CHECK (flagged IN (0, 1)),
  -- what is left of the agent's session
  transcript TEXT,
  session TEXT,
  home_until REAL,
  CHECK ((state IN ('judged', 'abandoned')) = (ended_at IS NOT NULL)),
  CHECK ((state IN ('judged', 'abandoned')) = (outcome IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX attempt_token ON attempt (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX attempt_state ON attempt (state, lease_until);
CREATE INDEX attempt_failed ON attempt (parent, attempt) WHERE notes <> '' AND flagged = 0 AND outcome <> 'improved';
CREATE INDEX attempt_island ON attempt (island, attempt, score);
CREATE INDEX attempt_restart ON attempt (island, attempt) WHERE move = 'restart';
CREATE INDEX attempt_best ON attempt (trust, score, attempt) WHERE confirmed = 1 AND score IS NOT NULL;
CREATE INDEX attempt_continues ON attempt (continues) WHERE continues IS NOT NULL;
CREATE INDEX attempt_home ON attempt (home_until) WHERE home_until IS NOT NULL;
CREATE INDEX attempt_late ON attempt (late_of) WHERE late_of IS NOT NULL;
CREATE INDEX attempt_outcome ON attempt (outcome) WHERE outcome IS NOT NULL;

CREATE TABLE bill (
  attempt INTEGER NOT NULL REFERENCES attempt,
  model TEXT NOT NULL,
  input INTEGER NOT NULL CHECK (input >= 0),
  output INTEGER NOT NULL CHECK (output >= 0),
  cache_read INTEGER NOT NULL CHECK (cache_read >= 0),
  cache_write INTEGER NOT NULL CHECK (cache_write >= 0),
  at REAL NOT NULL,
  PRIMARY KEY (attempt, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE incident (
  incident INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  run INTEGER NOT NULL REFERENCES run,
  attempt INTEGER REFERENCES attempt,
  agent TEXT,
  kind TEXT NOT NULL CHECK (kind IN ('wind-down', 'nudge', 'stall', 'loop', 'limit', 'parked', 'opened', 'switched',
    'backoff', 'broken', 'resumed', 'budget', 'overshoot', 'secret')),
  text TEXT NOT NULL
) STRICT;

CREATE INDEX incident_attempt ON incident (attempt, kind);
CREATE INDEX incident_run ON incident (run, kind);

CREATE TABLE measurement (
  measurement INTEGER PRIMARY KEY,
  attempt INTEGER NOT NULL REFERENCES attempt,
  number INTEGER NOT NULL,
  purpose TEXT NOT NULL CHECK (purpose IN ('seed', 'screen', 'confirm', 'rejudge', 'release')),
  at REAL NOT NULL,
  tree TEXT NOT NULL,
  "commit" TEXT,
  verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'rejected', 'quarantined')),
  score REAL,
  low REAL,
  high REAL,
  screened REAL,
  reason TEXT,
  reason_code TEXT CHECK (reason_code IN ('wrong_answer', 'malformed', 'over_limit', 'timeout', 'crashed', 'forged')),
  measures TEXT NOT NULL,
  flags TEXT NOT NULL,
  instruments TEXT NOT NULL,
  seconds REAL NOT NULL,
  jail TEXT NOT NULL,
  trust TEXT NOT NULL CHECK (trust IN ('judged', 'judged-weak', 'unprotected', 'self-reported')),
  ruler_backend TEXT NOT NULL,
  ruler_digest TEXT NOT NULL,
  inputs INTEGER NOT NULL,
  confirmed INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
  cached_from INTEGER REFERENCES measurement,
  UNIQUE (attempt, number),
  CHECK ((verdict = 'rejected') = (score IS NULL)),
  CHECK ((low IS NULL) = (high IS NULL)),
  CHECK (confirmed = 0 OR verdict = 'accepted')
) STRICT;

CREATE INDEX measurement_tree ON measurement (tree, ruler_digest, jail);
CREATE INDEX measurement_verdict ON measurement (verdict, reason_code) WHERE attempt > 0;

CREATE TABLE duel (
  duel INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  attempt INTEGER NOT NULL REFERENCES attempt,
  against INTEGER NOT NULL REFERENCES attempt,
  tree TEXT NOT NULL,
  against_tree TEXT NOT NULL,
  ratio REAL NOT NULL,
  low REAL NOT NULL,
  high REAL NOT NULL,
  pairs INTEGER NOT NULL,
  seconds REAL NOT NULL
) STRICT;

CREATE INDEX duel_trees ON duel (tree, against_tree);
CREATE INDEX duel_attempt ON duel (attempt);

CREATE TABLE decision (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  attempt INTEGER NOT NULL REFERENCES attempt,
  measurement INTEGER NOT NULL REFERENCES measurement,
  tree TEXT NOT NULL,
  decision TEXT NOT NULL CHECK (decision IN ('release', 'reject')),
  who TEXT NOT NULL,
  why TEXT
) STRICT;

CREATE INDEX decision_tree ON decision (tree, seq);
CREATE INDEX decision_attempt ON decision (attempt);

CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('seeded', 'claimed', 'judged', 'abandoned', 'rejudged')),
  attempt INTEGER NOT NULL REFERENCES attempt,
  measurement INTEGER REFERENCES measurement,
  flagged INTEGER NOT NULL CHECK (flagged IN (0, 1))
) STRICT;

CREATE TABLE best (
  seq INTEGER PRIMARY KEY REFERENCES event,
  at REAL NOT NULL,
  attempt INTEGER NOT NULL REFERENCES attempt,
  measurement INTEGER NOT NULL REFERENCES measurement,
  score REAL NOT NULL,
  trust TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  measurements INTEGER NOT NULL,
  judge_seconds REAL NOT NULL,
  agent_seconds REAL NOT NULL,
  tokens INTEGER NOT NULL,
  dollars REAL NOT NULL,
  dollars_unknown INTEGER NOT NULL,
  hours REAL NOT NULL
) STRICT;

CREATE TABLE tally (
  tally INTEGER PRIMARY KEY CHECK (tally = 1),
  attempts INTEGER NOT NULL,
  measurements INTEGER NOT NULL,
  judge_seconds REAL NOT NULL,
  agent_seconds REAL NOT NULL,
  tokens INTEGER NOT NULL,
  dollars REAL NOT NULL,
  dollars_unknown INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  top_dollars REAL NOT NULL,
  top_tokens INTEGER NOT NULL
) STRICT;
INSERT INTO tally VALUES (1, 0, 0, 0.0, 0.0, 0, 0.0, 0, 0, 0.0, 0);

CREATE TABLE account (
  agent TEXT PRIMARY KEY,
  attempts INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  agent_seconds REAL NOT NULL,
  tokens INTEGER NOT NULL,
  dollars REAL NOT NULL,
  dollars_unknown INTEGER NOT NULL,
  top_dollars REAL NOT NULL,
  top_tokens INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE refusal (
  refusal INTEGER PRIMARY KEY,
  attempt INTEGER REFERENCES attempt,
  verb TEXT NOT NULL,
  why TEXT NOT NULL,
  times INTEGER NOT NULL,
  first_at REAL NOT NULL,
  last_at REAL NOT NULL
) STRICT;

CREATE UNIQUE INDEX refusal_same ON refusal (ifnull(attempt, -1), verb, why);

-- What must never happen, whoever writes.

CREATE TRIGGER attempt_state_forward BEFORE UPDATE OF state ON attempt
WHEN (CASE new.state WHEN 'claimed' THEN 0 WHEN 'submitted' THEN 1 ELSE 2 END)
  <= (CASE old.state WHEN 'claimed' THEN 0 WHEN 'submitted' THEN 1 ELSE 2 END)
BEGIN SELECT raise(ABORT, 'the state of an attempt only goes forward'); END;

CREATE TRIGGER attempt_choice_once BEFORE UPDATE OF
  attempt, parent, island, move, reason, share_notes, inspirations, parent_score, best_before, agent, started_at,
  token_hash ON attempt
BEGIN SELECT raise(ABORT, 'what was claimed is written once'); END;

CREATE TRIGGER attempt_stays BEFORE DELETE ON attempt
BEGIN SELECT raise(ABORT, 'attempts are never deleted'); END;

CREATE TRIGGER measurement_once BEFORE UPDATE ON measurement
BEGIN SELECT raise(ABORT, 'measurements are written once'); END;

CREATE TRIGGER measurement_stays BEFORE DELETE ON measurement
BEGIN SELECT raise(ABORT, 'measurements are never deleted'); END;

CREATE TRIGGER event_once BEFORE UPDATE ON event
BEGIN SELECT raise(ABORT, 'events are written once'); END;

CREATE TRIGGER event_stays BEFORE DELETE ON event
BEGIN SELECT raise(ABORT, 'events are never deleted'); END;

CREATE TRIGGER duel_once BEFORE UPDATE ON duel
BEGIN SELECT raise(ABORT, 'duels are written once'); END;

CREATE TRIGGER duel_stays BEFORE DELETE ON duel
BEGIN SELECT raise(ABORT, 'duels are never deleted'); END;

CREATE TRIGGER decision_once BEFORE UPDATE ON decision
BEGIN SELECT raise(ABORT, 'decisions are written once'); END;

CREATE TRIGGER decision_stays BEFORE DELETE ON decision
BEGIN SELECT raise(ABORT, 'decisions are never deleted'); END;

CREATE TRIGGER incident_once BEFORE UPDATE ON incident
BEGIN SELECT raise(ABORT, 'incidents are written once'); END;

CREATE TRIGGER incident_stays BEFORE DELETE ON incident
BEGIN SELECT raise(ABORT, 'incidents are never deleted'); END;

CREATE TRIGGER bill_forward BEFORE UPDATE ON bill
WHEN new.attempt <> old.attempt OR new.model <> old.model OR new.input < old.input OR new.output < old.output
  OR new.cache_read < old.cache_read OR new.cache_write < old.cache_write
BEGIN SELECT raise(ABORT, 'a bill only grows'); END;

CREATE TRIGGER bill_stays BEFORE DELETE ON bill
BEGIN SELECT raise(ABORT, 'bills are never deleted'); END;

CREATE TRIGGER spent_forward BEFORE UPDATE OF tokens, dollars ON attempt
WHEN new.tokens < old.tokens OR new.dollars < old.dollars
BEGIN SELECT raise(ABORT, 'what an attempt has spent only grows'); END;

-- Totals, kept here so that no writer can forget them and no reader has to add up the past.

CREATE TRIGGER tally_attempt AFTER INSERT ON attempt WHEN new.attempt > 0
BEGIN UPDATE tally SET attempts = attempts + 1; END;

CREATE TRIGGER tally_ended AFTER UPDATE OF state ON attempt
WHEN new.state IN ('judged', 'abandoned') AND new.attempt > 0
BEGIN UPDATE tally SET ended = ended + 1; END;

CREATE TRIGGER tally_usage AFTER UPDATE OF seconds, tokens, dollars ON attempt
BEGIN
  UPDATE tally SET
    agent_seconds = agent_seconds + new.seconds - old.seconds,
    tokens = tokens + new.tokens - old.tokens,
    dollars = dollars + ifnull(new.dollars, 0.0) - ifnull(old.dollars, 0.0),
    dollars_unknown = dollars_unknown + (new.dollars IS NULL) - (old.dollars IS NULL),
    top_dollars = max(top_dollars, ifnull(new.dollars, 0.0)),
    top_tokens = max(top_tokens, new.tokens);
END;

CREATE TRIGGER tally_measurement AFTER INSERT ON measurement
BEGIN
  UPDATE tally SET measurements = measurements + (new.attempt > 0), judge_seconds = judge_seconds + new.seconds;
  UPDATE attempt SET
    measurements = measurements + 1,
    flagged = CASE
      WHEN new.purpose = 'release' THEN 0  -- a person has looked at it
      WHEN new.reason_code IS 'forged' OR new.verdict = 'quarantined' THEN 1
      WHEN new.flags <> '[]' THEN max(flagged, ifnull(
        (SELECT decision <> 'release' FROM decision WHERE tree = new.tree ORDER BY seq DESC LIMIT 1), 1))
      ELSE flagged
    END
  WHERE attempt = new.attempt;
END;

CREATE TRIGGER tally_duel AFTER INSERT ON duel
BEGIN UPDATE tally SET judge_seconds = judge_seconds + new.seconds; END;

CREATE TRIGGER account_attempt AFTER INSERT ON attempt WHEN new.attempt > 0
BEGIN
  INSERT INTO account VALUES (new.agent, 1, 0, 0.0, 0, 0.0, 0, 0.0, 0)
  ON CONFLICT (agent) DO UPDATE SET attempts = attempts + 1;
END;

CREATE TRIGGER account_usage AFTER UPDATE OF seconds, tokens, dollars ON attempt
BEGIN
  UPDATE account SET
    agent_seconds = agent_seconds + new.seconds - old.seconds,
    tokens = tokens + new.tokens - old.tokens,
    dollars = dollars + ifnull(new.dollars, 0.0) - ifnull(old.dollars, 0.0),
    dollars_unknown = dollars_unknown + (new.dollars IS NULL) - (old.dollars IS NULL)
  WHERE agent = new.agent;
END;

CREATE TRIGGER account_ended AFTER UPDATE OF state ON attempt
WHEN new.state IN ('judged', 'abandoned') AND new.attempt > 0
BEGIN
  UPDATE account SET
    ended = ended + 1,
    top_dollars = max(top_dollars, ifnull(new.dollars, 0.0)),
    top_tokens = max(top_tokens, new.tokens)
  WHERE agent = new.agent;
END;
