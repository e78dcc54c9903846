#compdef vespo
# Completion of vespo in zsh: eval "$(vespo completion zsh)"

_vespo() {
    local line word
    local -a candidates
    for line in "${(@f)$("${words[1]}" internal-complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        if [[ $line == :files ]]; then
            _files
        elif [[ -n $line ]]; then
            word=${line%%$'\t'*}
            candidates+=("${word//:/\\:}${${line#$word}/#$'\t'/:}")
        fi
    done
    (( ${#candidates} )) && _describe vespo candidates
}

if [[ ${funcstack[1]} == _vespo ]]; then
    _vespo "$@"
else
    compdef _vespo vespo
fi
