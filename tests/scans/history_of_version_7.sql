BEGIN TRANSACTION;
CREATE TABLE acks (fingerprint TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "acks" VALUES('b6d723d8e16d0a96','{"fingerprint": "b6d723d8e16d0a96", "until": null, "actor": "Ana", "reason": "known", "at": "2026-11-29T08:28:52.183Z"}');
CREATE TABLE changes (
  seq INTEGER NOT NULL, fingerprint TEXT NOT NULL, check_id TEXT NOT NULL, title TEXT NOT NULL, from_status TEXT, to_status TEXT NOT NULL,
  severity TEXT NOT NULL, phase TEXT NOT NULL, at REAL NOT NULL, summary TEXT NOT NULL, scan_id TEXT NOT NULL
);
INSERT INTO "changes" VALUES(2,'b6d723d8e16d0a96','missing','missing',NULL,'crit','medium','hard',1.79594093218157792096e+09,'/nowhere/at-all: there is no such file','01a2266b-da53-7060-a264-681f5f144ea4');
CREATE TABLE events (at REAL NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL);
INSERT INTO "events" VALUES(1.79594093218361496922e+09,'ack','{"fingerprint": "b6d723d8e16d0a96", "until": null, "actor": "Ana", "reason": "known", "at": "2026-11-29T08:28:52.183Z"}');
CREATE TABLE latest (
  fingerprint TEXT PRIMARY KEY, seq INTEGER NOT NULL, check_id TEXT NOT NULL, owner TEXT NOT NULL, hard TEXT, flips TEXT NOT NULL,
  body TEXT, success_seq INTEGER, failure_seq INTEGER, last_success TEXT, last_failure TEXT
) WITHOUT ROWID;
INSERT INTO "latest" VALUES('b6d723d8e16d0a96',2,'missing','a.yaml','crit','','{"schema": "partywidgets.result/1", "scan_id": "01a2266b-da53-7060-a264-681f5f144ea4", "result_id": "01a2266b-da55-7929-b1cb-0579e3f4ec8f", "seq": 3, "fingerprint": "b6d723d8e16d0a96", "check_id": "missing", "check_type": "file", "target": "/nowhere/at-all", "title": "missing", "status": "crit", "status_code": 2, "severity": "medium", "state": {"phase": "hard", "since": "2026-11-29T08:28:52.181Z", "attempt": 1, "max_attempts": 1, "previous": null}, "change": "new", "scheduled_at": "2026-11-29T08:28:52.179Z", "started_at": "2026-11-29T08:28:52.179Z", "observed_at": "2026-11-29T08:28:52.181Z", "duration_ms": 1.648, "phases_ms": {}, "summary": "/nowhere/at-all: there is no such file", "details": "", "conditions": [{"expr": "exists", "ok": false, "actual": "false"}], "metrics": [], "evidence": [], "error": null, "remediation": null, "suppression": {"by": "ack", "id": "b6d723d8e16d0a96", "until": null, "actor": "Ana", "reason": "known"}, "labels": {}, "links": [], "runner": {"host": "host-7", "version": "0.1.0", "zone": null}, "ttl_s": null}',NULL,2,NULL,NULL);
INSERT INTO "latest" VALUES('d1a135e81f908da6',1,'nightly','a.yaml','ok','',NULL,1,NULL,NULL,NULL);
CREATE TABLE looks (
  check_id TEXT NOT NULL, observed_at REAL NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (check_id, observed_at, seq)
) WITHOUT ROWID;
CREATE TABLE looks_end (seq INTEGER NOT NULL);
INSERT INTO "looks_end" VALUES(0);
CREATE TABLE notified (
  target TEXT NOT NULL, fingerprint TEXT NOT NULL, status TEXT NOT NULL, at REAL NOT NULL DEFAULT 0, PRIMARY KEY (target, fingerprint)
) WITHOUT ROWID;
INSERT INTO "notified" VALUES('a.yaml#chat','b6d723d8e16d0a96','crit',1.79594093218437409397e+09);
CREATE TABLE proofs (id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE results (
  seq INTEGER PRIMARY KEY, scan_id TEXT NOT NULL, result_id TEXT NOT NULL, fingerprint TEXT NOT NULL, check_id TEXT NOT NULL,
  check_type TEXT NOT NULL,
  target TEXT NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL, severity TEXT NOT NULL, phase TEXT NOT NULL, change TEXT NOT NULL,
  observed_at REAL NOT NULL, duration_ms REAL NOT NULL, summary TEXT NOT NULL, body TEXT NOT NULL
);
INSERT INTO "results" VALUES(1,'01a2266b-da53-7060-a264-681f5f144ea4','01a2266b-da55-71ec-9367-d7245bb6ef4e','d1a135e81f908da6','nightly','heartbeat','heartbeat nightly','nightly','ok','medium','hard','new',1795940932.18113,1.169,'last beat 0s ago','{"schema":"partywidgets.result/1","scan_id":"01a2266b-da53-7060-a264-681f5f144ea4","result_id":"01a2266b-da55-71ec-9367-d7245bb6ef4e","seq":1,"fingerprint":"d1a135e81f908da6","check_id":"nightly","check_type":"heartbeat","target":"heartbeat nightly","title":"nightly","status":"ok","status_code":0,"severity":"medium","state":{"phase":"hard","since":"2026-11-29T08:28:52.181Z","attempt":1,"max_attempts":1,"previous":null},"change":"new","scheduled_at":"2026-11-29T08:28:52.179Z","started_at":"2026-11-29T08:28:52.179Z","observed_at":"2026-11-29T08:28:52.181Z","duration_ms":1.169,"phases_ms":{},"summary":"last beat 0s ago","details":"","conditions":[{"expr":"age_s <= 1000000000.0","ok":true,"actual":"0.001"}],"metrics":[{"name":"age_s","value":0.001,"unit":"s","warn":null,"crit":null,"min":null,"max":null},{"name":"beats","value":2.0,"unit":"","warn":null,"crit":null,"min":null,"max":null}],"evidence":[],"error":null,"remediation":null,"suppression":null,"labels":{},"links":[],"runner":{"host":"host-7","version":"0.1.0","zone":null},"ttl_s":null}');
INSERT INTO "results" VALUES(2,'01a2266b-da53-7060-a264-681f5f144ea4','01a2266b-da55-7929-b1cb-0579e3f4ec8f','b6d723d8e16d0a96','missing','file','/nowhere/at-all','missing','crit','medium','hard','new',1.79594093218157792096e+09,1.648,'/nowhere/at-all: there is no such file','{"schema":"partywidgets.result/1","scan_id":"01a2266b-da53-7060-a264-681f5f144ea4","result_id":"01a2266b-da55-7929-b1cb-0579e3f4ec8f","seq":2,"fingerprint":"b6d723d8e16d0a96","check_id":"missing","check_type":"file","target":"/nowhere/at-all","title":"missing","status":"crit","status_code":2,"severity":"medium","state":{"phase":"hard","since":"2026-11-29T08:28:52.181Z","attempt":1,"max_attempts":1,"previous":null},"change":"new","scheduled_at":"2026-11-29T08:28:52.179Z","started_at":"2026-11-29T08:28:52.179Z","observed_at":"2026-11-29T08:28:52.181Z","duration_ms":1.648,"phases_ms":{},"summary":"/nowhere/at-all: there is no such file","details":"","conditions":[{"expr":"exists","ok":false,"actual":"false"}],"metrics":[],"evidence":[],"error":null,"remediation":null,"suppression":null,"labels":{},"links":[],"runner":{"host":"host-7","version":"0.1.0","zone":null},"ttl_s":null}');
CREATE TABLE rollups (
  hour INTEGER NOT NULL, fingerprint TEXT NOT NULL, check_id TEXT NOT NULL, looks INTEGER NOT NULL, ok INTEGER NOT NULL,
  warn INTEGER NOT NULL, crit INTEGER NOT NULL, unknown INTEGER NOT NULL, skip INTEGER NOT NULL,
  p50_ms REAL, p95_ms REAL, p99_ms REAL, max_ms REAL,
  PRIMARY KEY (hour, fingerprint)
) WITHOUT ROWID;
CREATE TABLE rollups_day (
  day INTEGER NOT NULL, fingerprint TEXT NOT NULL, check_id TEXT NOT NULL, looks INTEGER NOT NULL, ok INTEGER NOT NULL,
  warn INTEGER NOT NULL, crit INTEGER NOT NULL, unknown INTEGER NOT NULL, skip INTEGER NOT NULL,
  p50_ms REAL, p95_ms REAL, p99_ms REAL, max_ms REAL,
  PRIMARY KEY (day, fingerprint)
) WITHOUT ROWID;
CREATE TABLE rollups_minute (
  minute INTEGER NOT NULL, fingerprint TEXT NOT NULL, check_id TEXT NOT NULL, looks INTEGER NOT NULL, ok INTEGER NOT NULL,
  warn INTEGER NOT NULL, crit INTEGER NOT NULL, unknown INTEGER NOT NULL, skip INTEGER NOT NULL,
  p50_ms REAL, p95_ms REAL, p99_ms REAL, max_ms REAL,
  PRIMARY KEY (minute, fingerprint)
) WITHOUT ROWID;
CREATE TABLE scans (
  scan_id TEXT PRIMARY KEY, trigger TEXT NOT NULL, actor TEXT, started_at REAL NOT NULL, finished_at REAL,
  state TEXT NOT NULL, total INTEGER NOT NULL, counts TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "scans" VALUES('01a2266b-da53-7060-a264-681f5f144ea4','manual',NULL,1.79594093217907309527e+09,1.79594093218292498587e+09,'finished',2,'{"ok": 1, "warn": 0, "crit": 1, "unknown": 0, "skip": 0}');
CREATE TABLE silences (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX scans_started ON scans (started_at);
CREATE INDEX results_scan ON results (scan_id);
CREATE INDEX changes_at ON changes (at);
CREATE INDEX results_observed ON results (observed_at, fingerprint, check_id, status, duration_ms);
CREATE TRIGGER looks_gone AFTER DELETE ON results BEGIN
  DELETE FROM looks WHERE check_id = old.check_id AND observed_at = old.observed_at AND seq = old.seq;
END;
CREATE INDEX changes_row ON changes (fingerprint, at);
CREATE INDEX changes_check ON changes (check_id, at);
CREATE INDEX scans_last ON scans (trigger IN ('interval', 'recheck'), finished_at DESC) WHERE state = 'finished';
CREATE INDEX scans_running ON scans (state) WHERE state = 'running';
CREATE INDEX proofs_row ON proofs (fingerprint, at);
CREATE INDEX proofs_at ON proofs (at);
CREATE INDEX rollups_minute_check ON rollups_minute (check_id, minute);
CREATE INDEX rollups_check ON rollups (check_id, hour);
CREATE INDEX rollups_day_check ON rollups_day (check_id, day);
CREATE INDEX events_at ON events (at);
COMMIT;
PRAGMA user_version = 7;
