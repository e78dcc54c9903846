# Completion of vespo in bash: eval "$(vespo completion bash)"

_vespo() {
    local current=${COMP_WORDS[COMP_CWORD]} word
    [ "$current" != = ] || current=
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        if [ "$word" = :files ]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do
                COMPREPLY+=("$word")
            done < <(compgen -f -- "$current")
        else
            COMPREPLY+=("$word")
        fi
    done < <("${COMP_WORDS[0]}" internal-complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}

complete -F _vespo vespo
