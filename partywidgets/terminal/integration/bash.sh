# partywidgets' start file for an interactive bash: the user's own first, then marks (OSC 633) around prompts and commands.
# Nothing here is written to the user's dotfiles. The nonce keeps output from forging a mark.
if [[ -n ${__PW_LOGIN-} ]]; then
  # Over SSH: what a login shell reads, which takes no --rcfile.
  unset __PW_LOGIN
  [[ -r /etc/profile ]] && . /etc/profile
  for __pw_file in ~/.bash_profile ~/.bash_login ~/.profile; do
    if [[ -r $__pw_file ]]; then
      . "$__pw_file"
      break
    fi
  done
  unset __pw_file
else
  [ -r ~/.bashrc ] && . ~/.bashrc
fi
__pw_nonce=$__PW_NONCE
unset __PW_NONCE __PW_INIT

__pw_mark() { builtin printf '\033]633;%s;%s\007' "$1" "$__pw_nonce"; }

__pw_escape() {
  local LC_ALL=C value=${1:0:4096}
  value=${value//\\/\\\\}
  value=${value//;/\\x3b}
  value=${value//$'\n'/\\x0a}
  value=${value//$'\r'/\\x0d}
  value=${value//$'\033'/\\x1b}
  value=${value//$'\007'/\\x07}
  builtin printf '%s' "$value"
}

# A key that nobody has: the line is cleared and typed into, whatever stands there and in whichever mode of vi. `run` presses it first.
for __pw_keys in emacs vi-insert vi-command; do
  builtin bind -m $__pw_keys '"\e[633;1~": kill-whole-line' 2>/dev/null
done
builtin bind -m emacs '"\e[633~": "\e[633;1~"' 2>/dev/null
builtin bind -m vi-insert '"\e[633~": "\e[633;1~"' 2>/dev/null
builtin bind -m vi-command '"\e[633~": "\e[633;1~i"' 2>/dev/null
unset __pw_keys

__pw_entry() { HISTTIMEFORMAT='' builtin history 1; }

# Runs in PS0: after a command was read, before it runs.
__pw_started() {
  local entry pattern='^ *[0-9]+[*]? +(.*)$'
  entry=$(__pw_entry)
  # A command that history does not keep (ignorespace, ignoredups) leaves the last entry as it was: its text is read off the screen then.
  if [[ $entry != "${__pw_last_entry-}" && $entry =~ $pattern ]]; then __pw_mark "E;$(__pw_escape "${BASH_REMATCH[1]}")"; fi
  __pw_mark C
}

__pw_ended() {
  local status=$?
  __pw_mark "D;$status"
  __pw_mark "P;Cwd=$(__pw_escape "$PWD")"
  return $status
}

# `PROMPT_COMMAND=…`, as `source ~/.bashrc` has it, sets the first command of several: ours are not that one, and what comes to stand there
# goes behind the first of ours. What is there already is not there twice.
__pw_tidied() {
  local one other
  local -a kept=()
  for one in "${PROMPT_COMMAND[@]}"; do
    if [[ -z $one || $one == "$__pw_first" || $one == "$__pw_last" ]]; then continue; fi
    for other in "${kept[@]}"; do if [[ $one == "$other" ]]; then continue 2; fi; done
    kept+=("$one")
  done
  PROMPT_COMMAND=('' "$__pw_first" "${kept[@]}" "$__pw_last")
}

# Last, because others set PS1 in PROMPT_COMMAND.
__pw_prompted() {
  if [[ -n ${__pw_first-} && ( -n ${PROMPT_COMMAND[0]-} || ${PROMPT_COMMAND[-1]-} != "$__pw_last" ) ]]; then __pw_tidied; fi
  __pw_last_entry=$(__pw_entry)
  if [[ ${PS2-} != *"633;F;"* ]]; then PS2='\[\033]633;F;0;'$__pw_nonce'\007\]'${PS2-}; fi
  if [[ ${PS1-} != *"633;B;"* ]]; then PS1='\[\033]633;A;'$__pw_nonce'\007\]'${PS1-}'\[\033]633;B;'$__pw_nonce'\007\]'; fi
}

__pw_is=$(declare -p PROMPT_COMMAND 2>/dev/null) || :
if [[ ${__pw_is%%=*} == 'declare -'*r*' PROMPT_COMMAND' ]]; then
  # Hardened machines forbid to change it. Without marks: `run` says so, and types its own with inside=True.
  unset __pw_is
  return 0
fi
# What these print under `set -x` goes nowhere: it would stand in the output of commands, with the nonce in it.
if [[ ${BASH_VERSINFO[0]} -gt 4 || ( ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 ) ]]; then
  PS0=${PS0-}'$({ __pw_started; } 2>/dev/null)'
fi
if [[ ${BASH_VERSINFO[0]} -gt 5 || ( ${BASH_VERSINFO[0]} -eq 5 && ${BASH_VERSINFO[1]} -ge 1 ) ]]; then
  # It runs each of an array, and gives each the status of the command.
  __pw_first='{ __pw_ended; } 2>/dev/null' __pw_last='{ __pw_prompted; } 2>/dev/null'
  __pw_tidied
elif [[ $__pw_is == 'declare -a'* ]]; then
  PROMPT_COMMAND=('{ __pw_ended; } 2>/dev/null' "${PROMPT_COMMAND[@]}" '{ __pw_prompted; } 2>/dev/null')
else
  PROMPT_COMMAND='{ __pw_ended; } 2>/dev/null'$'\n'${PROMPT_COMMAND-}$'\n''{ __pw_prompted; } 2>/dev/null'
fi
unset __pw_is
__pw_mark "P;Shell=bash"
