"""The terminal room. `server.TerminalServer` is imported where a host is composed; clients need `protocol` alone."""
