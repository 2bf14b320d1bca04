-- What real agents need: what they were billed by model, what was done about them, their sessions, the caps and pauses
-- of each; what the attempts of each agent took, in one row.

ALTER TABLE run ADD COLUMN cap_attempt_dollars REAL;
ALTER TABLE run ADD COLUMN cap_attempt_tokens INTEGER;
ALTER TABLE run ADD COLUMN nudges INTEGER;
ALTER TABLE run ADD COLUMN switching INTEGER NOT NULL DEFAULT 1 CHECK (switching IN (0, 1));

ALTER TABLE agent ADD COLUMN paused_why TEXT;
ALTER TABLE agent ADD COLUMN streams INTEGER NOT NULL DEFAULT 0 CHECK (streams IN (0, 1));
ALTER TABLE agent ADD COLUMN cap_dollars REAL;
ALTER TABLE agent ADD COLUMN cap_tokens INTEGER;
ALTER TABLE agent ADD COLUMN cap_attempt_dollars REAL;
ALTER TABLE agent ADD COLUMN cap_attempt_tokens INTEGER;
UPDATE agent SET paused_why = 'at its usage limit' WHERE paused_until IS NOT NULL;

ALTER TABLE attempt ADD COLUMN transcript TEXT;
ALTER TABLE attempt ADD COLUMN session TEXT;
ALTER TABLE attempt ADD COLUMN home_until REAL;
CREATE INDEX attempt_home ON attempt (home_until) WHERE home_until IS NOT NULL;

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

INSERT INTO account
SELECT agent, count(*), sum(state IN ('judged', 'abandoned')), sum(seconds), sum(tokens), sum(ifnull(dollars, 0.0)),
  sum(dollars IS NULL), max(iif(state IN ('judged', 'abandoned'), ifnull(dollars, 0.0), 0.0)),
  max(iif(state IN ('judged', 'abandoned'), tokens, 0))
FROM attempt WHERE attempt > 0 GROUP BY agent;

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
