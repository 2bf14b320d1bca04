BEGIN TRANSACTION;
CREATE TABLE agent (
  run INTEGER NOT NULL REFERENCES run,
  agent TEXT NOT NULL,
  model TEXT NOT NULL,
  slots INTEGER NOT NULL,
  costs_money INTEGER NOT NULL CHECK (costs_money IN (0, 1)),
  paused_until REAL,
  PRIMARY KEY (run, agent, model)
) STRICT, WITHOUT ROWID;
INSERT INTO "agent" VALUES(1,'command','/var/lab/agent.sh',2,1,NULL);
INSERT INTO "agent" VALUES(2,'command','/var/lab/agent.sh',1,1,NULL);
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
  CHECK ((state IN ('judged', 'abandoned')) = (ended_at IS NOT NULL)),
  CHECK ((state IN ('judged', 'abandoned')) = (outcome IS NOT NULL))
) STRICT;
INSERT INTO "attempt" VALUES(0,NULL,NULL,0,'seed','the seed',1,'',NULL,NULL,NULL,NULL,'seed',NULL,'','',NULL,NULL,NULL,NULL,NULL,'judged',1.79554470777160429958e+09,NULL,1.79554470777160429958e+09,NULL,NULL,'',0.0,0,0.0,1,0,'none',1,'4853a0dae28daccae81bea21c70e26be8d839064','dd6deaab845559eaaab0b982a09482f335dcb034',66.0,NULL,'judged',0,0);
INSERT INTO "attempt" VALUES(1,1,0,0,'select','island 0: the seed, no. 1 of 1 by score, 0 visits, weight 0.50',1,'',66.0,66.0,NULL,NULL,'command','/var/lab/agent.sh','slot 0','bubblewrap','f572a7451fd9859d2a54ebecb28ba854b325fb814550f2b4ab3278ec365abfdc',1.79554680792232227324e+09,'/var/lab/state/scratch/47b043278647cf08/kf-85bc9bedf0ffde1ca8c219b7/work','sha256:a99b9521bc0ec9c9e665ccaaa9b8b14a8cd28b7d53892fc988a11a6b98b8f3f1','sha256:63af126089550ea58f8b2fc30dbe46c41019d38fb4f22921236615e931782a4b','judged',1.79554470792232227327e+09,1.79554470816616702083e+09,1.79554470822388792042e+09,'finished',NULL,'I added a line.
',2.21930488998623332008e-01,0,NULL,1,0,'equal',2,'987ad0c1092f6ab9c503ad117cd66452b5290c00','f0c0b6ca753e0a88c8ba1aaf46df984c4cb5db3e',66.0,0.0,'judged',0,0);
INSERT INTO "attempt" VALUES(2,1,0,1,'select','island 1: the seed, no. 1 of 1 by score, 1 visits, weight 0.25',1,'',66.0,66.0,NULL,NULL,'command','/var/lab/agent.sh','slot 1','bubblewrap','6a170fdc6c24d638dbba24ed47e5e8de93139dbee6fbc3675be9c1ae3abf02c1',1.7955468079224767685e+09,'/var/lab/state/scratch/47b043278647cf08/kf-b91e1ff8c989bd5d6f3c2cef/work','sha256:a99b9521bc0ec9c9e665ccaaa9b8b14a8cd28b7d53892fc988a11a6b98b8f3f1','sha256:63af126089550ea58f8b2fc30dbe46c41019d38fb4f22921236615e931782a4b','judged',1.79554470792247676848e+09,1.79554470817015862467e+09,1.79554470823825097084e+09,'finished',NULL,'I added a line.
',2.22129755002242745831e-01,0,NULL,1,0,'equal',3,'148f9626ad8a959952c4388b6c983e8456d74fc2','028821979ca8145b6221709c8e3eee9750ad3cb3',66.0,0.0,'judged',0,0);
INSERT INTO "attempt" VALUES(3,1,0,2,'select','island 2: the seed, no. 1 of 1 by score, 2 visits, weight 0.17',1,'',66.0,66.0,NULL,NULL,'command','/var/lab/agent.sh','slot 0','bubblewrap','6e75adc0dc5bd3508fb96f1906fb6d95a7a33ac8b77bab702cc7442bd6181498',1.7955468082265386581e+09,'/var/lab/state/scratch/47b043278647cf08/kf-47e44ca95ef04f7e71109be4/work','sha256:3c2973cbc4e87922058444608467af8035dcae17147aa42f540d37d8cf00194a','sha256:63af126089550ea58f8b2fc30dbe46c41019d38fb4f22921236615e931782a4b','judged',1.79554470822653865812e+09,1.79554470845615959167e+09,1.79554470850258398057e+09,'finished',NULL,'I added a line.
',2.17678864999470533803e-01,0,NULL,1,0,'equal',4,'06d265e6bb21b35f3c2285f8c76fef1d83c716fa','024159e0455d2ee0b2efad8c8da5b71d688f7495',66.0,0.0,'judged',0,0);
INSERT INTO "attempt" VALUES(4,2,1,0,'select','island 0: attempt 1, no. 1 of 2 by score, 0 visits, weight 0.50',1,'',66.0,66.0,NULL,NULL,'command','/var/lab/agent.sh','slot 0','bubblewrap','2565f92a0ef41f556036bae828eea636593815e8e9b9ce871e935b904f1114e4',1.79554680917189359665e+09,'/var/lab/state/scratch/47b043278647cf08/kf-54f553e01f973d9d7a794f65/work','sha256:c689c15a03bbb51be541d7990d27e999f65aafc1150f5faf921a678d39c9bf84','sha256:63af126089550ea58f8b2fc30dbe46c41019d38fb4f22921236615e931782a4b','judged',1.79554470917189359664e+09,1.79554470940683650976e+09,1.79554470945619535447e+09,'finished',NULL,'I added a line.
',2.15655314001196529716e-01,0,NULL,1,0,'equal',5,'12784a120a482080b6bb1bbdcf712c05d2a54ca6','a6d90c922139dd4213627248248b032690a6bda0',66.0,0.0,'judged',0,0);
INSERT INTO "attempt" VALUES(5,2,0,1,'select','island 1: the seed, no. 1 of 2 by score, 3 visits, weight 0.12',1,'2',66.0,66.0,NULL,NULL,'command','/var/lab/agent.sh','slot 0','bubblewrap','7f1b6b4c8958779cbbaf89961490324f71cdeb73281b9e83135a505d9d10480b',1.79554680945845270153e+09,'/var/lab/state/scratch/47b043278647cf08/kf-cf7d0e5e1f83480581b06f68/work','sha256:fd3f810f61c73b1cc66c148034be31adae82b8cc078f7a4e449a8b3293b18ce7','sha256:63af126089550ea58f8b2fc30dbe46c41019d38fb4f22921236615e931782a4b','judged',1.79554470945845270155e+09,1.79554470968180012705e+09,1.79554470972789716716e+09,'finished',NULL,'I added a line.
',2.16045615001348778605e-01,0,NULL,1,0,'equal',6,'fe245f26688d1cfafcf0f4ceebdfc4af1e6b236a','8d581d871435e41a36daf8b5aaf78cb4753cfc3f',66.0,0.0,'judged',0,0);
CREATE TABLE axis (
  axis INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  low REAL NOT NULL,
  high REAL NOT NULL
) STRICT;
INSERT INTO "axis" VALUES(1,'depth',8.0,24.0);
INSERT INTO "axis" VALUES(2,'reach',1.0,11.0);
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
INSERT INTO "best" VALUES(1,1.79554470777160429958e+09,0,1,66.0,'judged',0,0,4.26341839993256144225e-02,0.0,0,0.0,0,0.0);
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
CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('seeded', 'claimed', 'judged', 'abandoned', 'rejudged')),
  attempt INTEGER NOT NULL REFERENCES attempt,
  measurement INTEGER REFERENCES measurement,
  flagged INTEGER NOT NULL CHECK (flagged IN (0, 1))
) STRICT;
INSERT INTO "event" VALUES(1,1.79554470777160429958e+09,'seeded',0,1,0);
INSERT INTO "event" VALUES(2,1.79554470792232227327e+09,'claimed',1,NULL,0);
INSERT INTO "event" VALUES(3,1.79554470792247676848e+09,'claimed',2,NULL,0);
INSERT INTO "event" VALUES(4,1.79554470822388792042e+09,'judged',1,2,0);
INSERT INTO "event" VALUES(5,1.79554470822653865812e+09,'claimed',3,NULL,0);
INSERT INTO "event" VALUES(6,1.79554470823825097084e+09,'judged',2,3,0);
INSERT INTO "event" VALUES(7,1.79554470850258398057e+09,'judged',3,4,0);
INSERT INTO "event" VALUES(8,1.79554470917189359664e+09,'claimed',4,NULL,0);
INSERT INTO "event" VALUES(9,1.79554470945619535447e+09,'judged',4,5,0);
INSERT INTO "event" VALUES(10,1.79554470945845270155e+09,'claimed',5,NULL,0);
INSERT INTO "event" VALUES(11,1.79554470972789716716e+09,'judged',5,6,0);
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
INSERT INTO "experiment" VALUES(1,'exp','sort_network','sha256:991dc31508fb9bdc1127accfb7b6dfe168ad2fdbec4800673cdcd75d1799501a','comparators','comparators','min',38.0,'[["insertion network",66],["merge exchange (Batcher 1968)",41],["proved smallest (Harder 2020)",39]]','islands',3,0,'command@/var/lab/agent.sh:2',0,1.79554470777160429958e+09);
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
INSERT INTO "measurement" VALUES(1,0,1,'seed',1.79554470777160429958e+09,'dd6deaab845559eaaab0b982a09482f335dcb034','4853a0dae28daccae81bea21c70e26be8d839064','accepted',66.0,NULL,NULL,NULL,NULL,NULL,'{"depth":24.0,"reach":1.1515151515151516}','[]','{"comparators":66,"depth":24,"idle":3}',4.26341839993256144225e-02,'bubblewrap','judged','python','sha256:5d8b73d491b8bbdb2961199e8c6450a249187a188263022da11e1276d64ac92f',1,0,NULL);
INSERT INTO "measurement" VALUES(2,1,1,'screen',1.79554470822195577617e+09,'f0c0b6ca753e0a88c8ba1aaf46df984c4cb5db3e','987ad0c1092f6ab9c503ad117cd66452b5290c00','accepted',66.0,NULL,NULL,NULL,NULL,NULL,'{"depth":24.0,"reach":1.1515151515151516}','[]','{"comparators":66,"depth":24,"idle":3}',4.64820480010530445724e-02,'bubblewrap','judged','python','sha256:5d8b73d491b8bbdb2961199e8c6450a249187a188263022da11e1276d64ac92f',1,0,NULL);
INSERT INTO "measurement" VALUES(3,2,1,'screen',1.79554470823456954961e+09,'028821979ca8145b6221709c8e3eee9750ad3cb3','148f9626ad8a959952c4388b6c983e8456d74fc2','accepted',66.0,NULL,NULL,NULL,NULL,NULL,'{"depth":24.0,"reach":1.1515151515151516}','[]','{"comparators":66,"depth":24,"idle":3}',5.01324790020589716732e-02,'bubblewrap','judged','python','sha256:5d8b73d491b8bbdb2961199e8c6450a249187a188263022da11e1276d64ac92f',1,0,NULL);
INSERT INTO "measurement" VALUES(4,3,1,'screen',1.79554470850146436692e+09,'024159e0455d2ee0b2efad8c8da5b71d688f7495','06d265e6bb21b35f3c2285f8c76fef1d83c716fa','accepted',66.0,NULL,NULL,NULL,NULL,NULL,'{"depth":24.0,"reach":1.1515151515151516}','[]','{"comparators":66,"depth":24,"idle":3}',4.08533539994095917791e-02,'bubblewrap','judged','python','sha256:5d8b73d491b8bbdb2961199e8c6450a249187a188263022da11e1276d64ac92f',1,0,NULL);
INSERT INTO "measurement" VALUES(5,4,1,'screen',1.79554470945474433903e+09,'a6d90c922139dd4213627248248b032690a6bda0','12784a120a482080b6bb1bbdcf712c05d2a54ca6','accepted',66.0,NULL,NULL,NULL,NULL,NULL,'{"depth":24.0,"reach":1.1515151515151516}','[]','{"comparators":66,"depth":24,"idle":3}',4.2278375000023515895e-02,'bubblewrap','judged','python','sha256:5d8b73d491b8bbdb2961199e8c6450a249187a188263022da11e1276d64ac92f',1,0,NULL);
INSERT INTO "measurement" VALUES(6,5,1,'screen',1.79554470972690844539e+09,'8d581d871435e41a36daf8b5aaf78cb4753cfc3f','fe245f26688d1cfafcf0f4ceebdfc4af1e6b236a','accepted',66.0,NULL,NULL,NULL,NULL,NULL,'{"depth":24.0,"reach":1.1515151515151516}','[]','{"comparators":66,"depth":24,"idle":3}',4.05078010007855482399e-02,'bubblewrap','judged','python','sha256:5d8b73d491b8bbdb2961199e8c6450a249187a188263022da11e1276d64ac92f',1,0,NULL);
CREATE TABLE refusal (
  refusal INTEGER PRIMARY KEY,
  attempt INTEGER REFERENCES attempt,
  verb TEXT NOT NULL,
  why TEXT NOT NULL,
  times INTEGER NOT NULL,
  first_at REAL NOT NULL,
  last_at REAL NOT NULL
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
  CHECK ((state = 'running') = (ended_at IS NULL))
) STRICT;
INSERT INTO "run" VALUES(1,1.7955447079143521785e+09,1.79554470850740051273e+09,'finished','all 3 attempts are made',20203,3,NULL,NULL,NULL,NULL,1800.0,'bubblewrap','judged','python','sha256:5d8b73d491b8bbdb2961199e8c6450a249187a188263022da11e1276d64ac92f',0);
INSERT INTO "run" VALUES(2,1.79554470916349267961e+09,1.79554470973252224916e+09,'finished','all 5 attempts are made',20289,5,NULL,90.0,NULL,NULL,1800.0,'bubblewrap','judged','python','sha256:5d8b73d491b8bbdb2961199e8c6450a249187a188263022da11e1276d64ac92f',0);
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
INSERT INTO "tally" VALUES(1,5,5,2.62888241002656286582e-01,1.09344003800288191996e+00,0,0.0,5,5,0.0,0);
CREATE UNIQUE INDEX attempt_token ON attempt (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX attempt_state ON attempt (state, lease_until);
CREATE INDEX attempt_failed ON attempt (parent, attempt) WHERE notes <> '' AND flagged = 0 AND outcome <> 'improved';
CREATE INDEX attempt_island ON attempt (island, attempt, score);
CREATE INDEX attempt_restart ON attempt (island, attempt) WHERE move = 'restart';
CREATE INDEX attempt_best ON attempt (trust, score, attempt) WHERE confirmed = 1 AND score IS NOT NULL;
CREATE INDEX attempt_continues ON attempt (continues) WHERE continues IS NOT NULL;
CREATE INDEX attempt_late ON attempt (late_of) WHERE late_of IS NOT NULL;
CREATE INDEX attempt_outcome ON attempt (outcome) WHERE outcome IS NOT NULL;
CREATE INDEX measurement_tree ON measurement (tree, ruler_digest, jail);
CREATE INDEX measurement_verdict ON measurement (verdict, reason_code) WHERE attempt > 0;
CREATE INDEX duel_trees ON duel (tree, against_tree);
CREATE INDEX duel_attempt ON duel (attempt);
CREATE INDEX decision_tree ON decision (tree, seq);
CREATE INDEX decision_attempt ON decision (attempt);
CREATE UNIQUE INDEX refusal_same ON refusal (ifnull(attempt, -1), verb, why);
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
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('event',11);
COMMIT;
