"""Terminals and the ops room from Python, without Jupyter: widgets, the command line and scripts stand on these clients.

Begin with `room` (enter, wait, ask, leave), then `terminal` and `ops`. The files, by what they are about:

    both rooms            room requests patience handle warning
    a terminal            terminal terminal_room terminal_state following stream command table records recording
    the ops room          ops ops_past ops_news ops_http board told arguments remedy
"""
