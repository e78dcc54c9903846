# Completion of vespo in fish: vespo completion fish | source

function __vespo_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] internal-complete $words[2..-1] 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end

complete -c vespo -f -a '(__vespo_complete)'
