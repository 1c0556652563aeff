# partywidgets' start file for an interactive zsh: the user's own first, then marks (OSC 633) around prompts and commands.
if [[ -n $__pw_user_dotdir ]]; then ZDOTDIR=$__pw_user_dotdir; else unset ZDOTDIR; fi
[[ ${HISTFILE-} == $__pw_dotdir/.zsh_history ]] && HISTFILE=${ZDOTDIR-$HOME}/.zsh_history
# A login shell (over SSH) looked for this one in our directory; it finds .zlogin by itself.
[[ -n ${__PW_LOGIN-} && -r ${ZDOTDIR-$HOME}/.zprofile ]] && source "${ZDOTDIR-$HOME}/.zprofile"
[[ -r ${ZDOTDIR-$HOME}/.zshrc ]] && source "${ZDOTDIR-$HOME}/.zshrc"
typeset -g __pw_nonce=$__PW_NONCE
unset __PW_NONCE __PW_ZDOTDIR __PW_LOGIN __PW_INIT __pw_user_dotdir
[[ -n ${__PW_DROP-} && -d $__PW_DROP ]] && command rm -rf -- "$__PW_DROP"
unset __PW_DROP __pw_dotdir

# Those that zsh calls have options of their own: what they would print under `set -x` would stand in the output of commands, with the nonce
# in it.
emulate zsh -o no_xtrace -c '
__pw_started() {
  __pw_mark "E;$(__pw_escape "$1")"
  __pw_mark C
}

__pw_ended() {
  local code=$?
  __pw_mark "D;$code"
  __pw_mark "P;Cwd=$(__pw_escape "$PWD")"
}

# Last, because themes set PROMPT in precmd.
__pw_prompted() {
  local begin=$'"'"'%{\033]'"'"' end=$__pw_nonce$'"'"'\007%}'"'"'
  if [[ $PROMPT2 != *"633;F;"* ]]; then PROMPT2="${begin}633;F;0;$end$PROMPT2"; fi
  if [[ $PROMPT != *"633;B;"* ]]; then PROMPT="${begin}633;A;$end$PROMPT${begin}633;B;$end"; fi
}
'

__pw_mark() { builtin printf '\033]633;%s;%s\007' "$1" "$__pw_nonce" }

__pw_escape() {
  emulate -L zsh
  local value=${1[1,4096]}
  value=${value//\\/\\\\}
  value=${value//;/\\x3b}
  value=${value//$'\n'/\\x0a}
  value=${value//$'\r'/\\x0d}
  value=${value//$'\033'/\\x1b}
  value=${value//$'\007'/\\x07}
  builtin print -rn -- "$value"
}

# A key that nobody has: the line is cleared and typed into, whatever stands there and in whichever mode of vi. `run` presses it first.
# In its line alone, # begins a comment, as in every script: else `kill 7 # not 8` would kill both.
__pw_clear() {
  zle kill-buffer
  zle -K main
  if [[ ! -o interactivecomments ]]; then
    setopt interactivecomments
    precmd_functions+=(__pw_uncomment)
  fi
}
__pw_uncomment() {
  unsetopt interactivecomments
  precmd_functions=(${precmd_functions[@]:#__pw_uncomment})
}
zle -N __pw_clear
for __pw_keys in emacs viins vicmd; do bindkey -M $__pw_keys '\e[633~' __pw_clear; done
unset __pw_keys

typeset -ga precmd_functions preexec_functions
precmd_functions=(__pw_ended "${precmd_functions[@]}" __pw_prompted)
preexec_functions=(__pw_started "${preexec_functions[@]}")
__pw_mark "P;Shell=zsh"
