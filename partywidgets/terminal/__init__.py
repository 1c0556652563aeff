"""The terminal room: one shell in one sandbox, which many people see and one of them types into.

Begin with `server` (the room), `session` and `upstream` (its process) and `stream` (the way of the output). It is imported where a host is
composed; clients need `protocol` alone. The reasons are in `docs/topics/terminal.md`. The files, by what they are about:

    the room              server settings requests greeting terminal_list
    the process           session upstream ending sandboxes/
    output to viewers     ring stream piece viewer line_speed above
    dialects              protocol cloudflare returning
    the screen            screen emulator drawing links markup showing vt
    who types             control lease asking sizing ejection
    commands              commands shell shell_state running typed_marks taking_back busy waiting ledger
    what is kept          recording recording_budget recording_thread cast recording_list recording_access audit
"""
