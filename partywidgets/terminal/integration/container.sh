# Opens an interactive shell in a container: $__PW_SHELL, or the first of bash, zsh and sh that is there, with marks (OSC 633) where it can have
# them. POSIX sh; run by `sh -c`. Writes nothing but zsh's start files, into a new directory under $TMPDIR that zsh removes as it starts.
born=
if { read -r born </proc/$$/stat; } 2>/dev/null; then
  set -- ${born##*) }
  born=${20-}
fi
printf '\033]633;P;Pid=%s,%s;%s\007' "$$" "$born" "$__PW_NONCE"
unset born

shell=$__PW_SHELL
unset __PW_SHELL
if [ -z "$shell" ]; then
  for shell in bash zsh sh; do
    if command -v "$shell" >/dev/null 2>&1; then break; fi
  done
fi
program=$(readlink -f "$(command -v "$shell")" 2>/dev/null)
program=${program##*/}

case ${shell##*/} in
bash)
  exec "$shell" -c 'exec "$0" --rcfile <(printf "%s" "$__PW_BASH") -i' "$shell"
  ;;
zsh)
  if directory=$(mktemp -d 2>/dev/null); then
    printf '%s' "$__PW_ZSHENV" >"$directory/.zshenv"
    printf '%s' "$__PW_ZSHRC" >"$directory/.zshrc"
    if [ -n "${ZDOTDIR-}" ]; then
      __PW_ZDOTDIR=$ZDOTDIR
      export __PW_ZDOTDIR
    fi
    __PW_DROP=$directory
    ZDOTDIR=$directory
    export __PW_DROP ZDOTDIR
  fi
  unset __PW_BASH __PW_ZSHENV __PW_ZSHRC
  if [ -n "${__PW_LOGIN-}" ]; then exec "$shell" -l -i; fi
  exec "$shell" -i
  ;;
sh | ash | dash)
  # busybox and bash edit the line themselves and must know what takes no room on it; dash leaves that to the terminal.
  case $program in
  dash)
    PS1=$__PW_PS1
    PS2=$(printf '\033]633;F;$?;%s\007> ' "$__PW_NONCE")
    ;;
  *)
    PS1=$__PW_PS1_EDITED
    PS2=$(printf '\\[\033]633;F;$?;%s\007\\]> ' "$__PW_NONCE")
    ;;
  esac
  export PS1 PS2
  ;;
*)
  # `run` is told that this one marks nothing.
  if command -v "$shell" >/dev/null 2>&1; then printf '\033]633;P;Shell=%s;%s\007' "${shell##*/}" "$__PW_NONCE"; fi
  ;;
esac
unset __PW_BASH __PW_ZSHENV __PW_ZSHRC __PW_PS1 __PW_PS1_EDITED __PW_NONCE __PW_LOGIN
case ${shell##*/} in
sh | ash | dash) exec "$shell" -i ;;
*) exec "$shell" ;;
esac
