"""The ops room: checks and their scans, the board of their results, its history, and who is told.

Begin with `server` (the room), `service` (what it stands on) and `active_scans` (a scan from its start to its report). The reasons are in
`docs/topics/scans.md`. The files, by what they are about:

    the room              server watchers laggards channel requests queries announcer message snapshot entrypoint resume_tickets
    a large board         ordering row_filter row_values columns window listing background
    the service           service registry settings tasks housekeeping orphans removal
    when a check is due   schedule cron plan
    a scan                scan active_scans round lineup execution placing stream lapse report
    a look                checks/ libraries judge condition expression expression_node cel redaction probing probe_worker packing
    checks as functions   check_decorator calls runner modules module_functions module_worker
    between two looks     beats registrations
    a result              model result_parts wire bounds text identifiers state proof witnesses
    the present           board
    why nobody is told    silence suppressions maintenance waiver matching
    who is told           notify notify_settings notify_target notify_ledger notify_calm notify_incident notify_alias notify_delivery notice
    the past              history history_file history_schema recorded past looks rollup result_columns backtest
    results elsewhere     frame export backtest_frame glance junit table_file
"""
