# partywidgets: ends the shell of a terminal whose host is gone. POSIX sh; run by `sh -c` beside that shell, with the host's connection as
# its input: that ends with the host. $1 $2: the shell's process and when that began; $3 $4: the same of a guard whose place this one takes;
# $5: seconds in which another one may take this one's place. A number that another process has got since is left alone.
is() {
  { read -r fields <"/proc/$1/stat"; } 2>/dev/null || return 1
  wanted=$2
  set -- ${fields##*) }
  [ "${20}" = "$wanted" ]
}

began() {
  { read -r fields <"/proc/$1/stat"; } 2>/dev/null || return 1
  set -- ${fields##*) }
  printf '%s' "${20}"
}

is "$1" "$2" || exit 0
if [ -n "$3" ] && is "$3" "$4"; then kill -KILL "$3"; fi
printf '%s %s\n' "$$" "$(began $$)"
word=
while read -r word; do
  case $word in
  over) exit 0 ;;
  end) break ;;
  esac
done
if [ "$word" != end ]; then sleep "$5" >/dev/null 2>&1; fi
if is "$1" "$2"; then
  kill -HUP "-$1" "$1"
  kill -CONT "-$1"
  for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    is "$1" "$2" || exit 0
    sleep 0.1 || sleep 1
  done
  if is "$1" "$2"; then kill -KILL "-$1" "$1"; fi
fi 2>/dev/null
