# SPDX-License-Identifier: MIT
#
# fish's completion for batchproc, which is asked what may stand where the cursor is: see
# tools/batchproc/complete.c.

function __batchproc_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l lines ($words[1] --complete $words[2..-1] $word 2>/dev/null)
    # What stands before the = is no part of a file's name.
    set -l before (string match -r -- '^--[^=]*=' $word)
    set -l rest (string replace -r -- '^--[^=]*=' '' $word)

    switch "$lines[1]"
        case words
            string join \n -- $lines[2..-1]
        case files
            __fish_complete_path $rest | string replace -r '^' -- "$before"
        case dirs
            __fish_complete_directories $rest | string replace -r '^' -- "$before"
    end
end

complete -c batchproc -f -a '(__batchproc_complete)'
