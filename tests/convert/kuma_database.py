"""A `kuma.db` as versions 1.23 and 2.0 of Uptime Kuma keep one: their tables and columns, as far as monitors need them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

_MONITOR = """
    id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(150), active BOOLEAN DEFAULT 1 NOT NULL, user_id INTEGER,
    interval INTEGER DEFAULT 20 NOT NULL,
    url TEXT, type VARCHAR(20), weight INTEGER DEFAULT 2000, hostname VARCHAR(255), port INTEGER,
    created_date DATETIME, keyword VARCHAR(255),
    maxretries INTEGER NOT NULL DEFAULT 0, ignore_tls BOOLEAN DEFAULT 0 NOT NULL, upside_down BOOLEAN DEFAULT 0 NOT NULL,
    maxredirects INTEGER DEFAULT 10 NOT NULL, accepted_statuscodes_json TEXT DEFAULT '["200-299"]' NOT NULL, dns_resolve_type VARCHAR(5),
    dns_resolve_server VARCHAR(255), dns_last_result VARCHAR(255), retry_interval INTEGER DEFAULT 0 NOT NULL, push_token VARCHAR(32),
    method TEXT DEFAULT 'GET' NOT NULL, body TEXT, headers TEXT, basic_auth_user TEXT, basic_auth_pass TEXT, docker_host INTEGER,
    docker_container VARCHAR(255), proxy_id INTEGER, expiry_notification BOOLEAN DEFAULT 1, mqtt_topic TEXT,
    mqtt_success_message VARCHAR(255),
    mqtt_username VARCHAR(255), mqtt_password VARCHAR(255), database_connection_string VARCHAR(2000),
    database_query TEXT, auth_method VARCHAR(250),
    auth_domain TEXT, auth_workstation TEXT, grpc_url VARCHAR(255), radius_username VARCHAR(255), radius_password VARCHAR(255),
    resend_interval INTEGER DEFAULT 0 NOT NULL, packet_size INTEGER DEFAULT 56 NOT NULL, game VARCHAR(255), http_body_encoding VARCHAR(25),
    description TEXT, tls_ca TEXT, tls_cert TEXT, tls_key TEXT, parent INTEGER, invert_keyword BOOLEAN DEFAULT 0 NOT NULL, json_path TEXT,
    expected_value VARCHAR(255), timeout DOUBLE DEFAULT 0 NOT NULL
"""
_SINCE_2 = """,
    json_path_operator VARCHAR(255), conditions TEXT DEFAULT '[]' NOT NULL, ping_count INTEGER DEFAULT 1 NOT NULL,
    ping_numeric BOOLEAN DEFAULT 1,
    ping_per_request_timeout INTEGER DEFAULT 2, cache_bust BOOLEAN DEFAULT 0, smtp_security VARCHAR(255), ws_subprotocol VARCHAR(255),
    ws_ignore_sec_websocket_accept_header BOOLEAN DEFAULT 0, ip_family VARCHAR(4), system_service_name VARCHAR(255)
"""
_OTHERS = """
    CREATE TABLE notification (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(255), config TEXT, active BOOLEAN DEFAULT 1 NOT NULL,
        user_id INTEGER, is_default BOOLEAN DEFAULT 0 NOT NULL);
    CREATE TABLE monitor_notification (id INTEGER PRIMARY KEY AUTOINCREMENT, monitor_id INTEGER NOT NULL, notification_id INTEGER NOT NULL);
    CREATE TABLE tag (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(255) NOT NULL, color VARCHAR(255) NOT NULL);
    CREATE TABLE monitor_tag (id INTEGER PRIMARY KEY AUTOINCREMENT, monitor_id INTEGER NOT NULL, tag_id INTEGER NOT NULL, value TEXT);
    CREATE TABLE docker_host (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER, docker_daemon VARCHAR(255), docker_type VARCHAR(255),
        name VARCHAR(255));
    CREATE TABLE maintenance (id INTEGER PRIMARY KEY AUTOINCREMENT, title VARCHAR(150) NOT NULL, description TEXT NOT NULL, user_id INTEGER,
        active BOOLEAN NOT NULL DEFAULT 1, strategy VARCHAR(50) NOT NULL DEFAULT 'single', start_date DATETIME,
        end_date DATETIME, start_time TIME,
        end_time TIME, weekdays VARCHAR2(250) DEFAULT '[]', days_of_month TEXT DEFAULT '[]', interval_day INTEGER,
        cron TEXT, timezone VARCHAR(255),
        duration INTEGER);
    CREATE TABLE monitor_maintenance (id INTEGER PRIMARY KEY AUTOINCREMENT, monitor_id INTEGER NOT NULL, maintenance_id INTEGER NOT NULL);
    CREATE TABLE setting (id INTEGER PRIMARY KEY AUTOINCREMENT, key VARCHAR(200) NOT NULL UNIQUE, value TEXT, type VARCHAR(20));
    CREATE TABLE heartbeat (id INTEGER PRIMARY KEY AUTOINCREMENT, monitor_id INTEGER NOT NULL,
        status SMALLINT NOT NULL, msg TEXT, time DATETIME);
"""


def kuma_database(path: Path, version: int = 2, **tables: list[dict[str, Any]]) -> Path:
    """Writes a database with these rows, the first of each table having the id 1; lists and mappings are kept as JSON."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(f"CREATE TABLE monitor ({_MONITOR}{_SINCE_2 if version >= 2 else ''});{_OTHERS}")
        for table, rows in tables.items():
            for row in rows:
                kept = {key: json.dumps(value) if isinstance(value, (dict, list)) else value for key, value in row.items()}
                names, marks = ", ".join(kept), ", ".join("?" * len(kept))
                database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(kept.values()))
    return path
