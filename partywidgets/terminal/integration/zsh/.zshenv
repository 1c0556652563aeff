# partywidgets' ZDOTDIR: the user's own files are read as if they had been found first.
__pw_dotdir=$ZDOTDIR
if [[ -n ${__PW_ZDOTDIR-} ]]; then ZDOTDIR=$__PW_ZDOTDIR; else unset ZDOTDIR; fi
[[ -r ${ZDOTDIR-$HOME}/.zshenv ]] && source "${ZDOTDIR-$HOME}/.zshenv"
__pw_user_dotdir=${ZDOTDIR-}
ZDOTDIR=$__pw_dotdir
