-- Intervals of timed scores, duels, what was screened before a confirmation, and what a person decided of scores in
-- quarantine. The table `measurement` is made anew, because its check of `purpose` grows.

CREATE TABLE measurement_2 (
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

INSERT INTO measurement_2 (
  measurement, attempt, number, purpose, at, tree, "commit", verdict, score, reason, reason_code, measures, flags,
  instruments, seconds, jail, trust, ruler_backend, ruler_digest, inputs, confirmed, cached_from)
SELECT
  measurement, attempt, number, purpose, at, tree, "commit", verdict, score, reason, reason_code, measures, flags,
  instruments, seconds, jail, trust, ruler_backend, ruler_digest, inputs, confirmed, cached_from
FROM measurement;
DROP TABLE measurement;
ALTER TABLE measurement_2 RENAME TO measurement;

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

CREATE TRIGGER measurement_once BEFORE UPDATE ON measurement
BEGIN SELECT raise(ABORT, 'measurements are written once'); END;

CREATE TRIGGER measurement_stays BEFORE DELETE ON measurement
BEGIN SELECT raise(ABORT, 'measurements are never deleted'); END;

CREATE TRIGGER duel_once BEFORE UPDATE ON duel
BEGIN SELECT raise(ABORT, 'duels are written once'); END;

CREATE TRIGGER duel_stays BEFORE DELETE ON duel
BEGIN SELECT raise(ABORT, 'duels are never deleted'); END;

CREATE TRIGGER decision_once BEFORE UPDATE ON decision
BEGIN SELECT raise(ABORT, 'decisions are written once'); END;

CREATE TRIGGER decision_stays BEFORE DELETE ON decision
BEGIN SELECT raise(ABORT, 'decisions are never deleted'); END;

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
