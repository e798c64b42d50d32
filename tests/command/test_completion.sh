#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the completion of bash, zsh and fish makes of a line that is typed, in the shells themselves: a
# terminal is made for each, the line and a Tab are typed, and the shell prints the words that it has then.
# A shell that is not there is left out by name. And the words that completion offers for an option are such
# as the command takes. BATCHPROC is the command. Run in the top directory of the source.
set -eu

command -v python3 >/dev/null || {
	echo "python3 is not installed"
	exit 77
}
scripts=$PWD/tools/batchproc/completion
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/bin" "$tmp/home" "$tmp/run/dir"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$(realpath "$BATCHPROC")" >"$tmp/bin/batchproc"
chmod +x "$tmp/bin/batchproc"
: >"$tmp/run/one.iso"
: >"$tmp/run/two words"

# A line, then what it is after a Tab, as words with | behind each.
cat >"$tmp/cases" <<'END'
batchproc has
batchproc|hash|
batchproc help stop
batchproc|help|stopping|
batchproc hash --backend th
batchproc|hash|--backend|threads|
batchproc hash --backend=th
batchproc|hash|--backend=threads|
batchproc hash -ra sha512-25
batchproc|hash|-ra|sha512-256|
batchproc hash -c --ignore-m
batchproc|hash|-c|--ignore-missing|
batchproc copy --reflink al
batchproc|copy|--reflink|always|
batchproc copy --preserve=mode,ti
batchproc|copy|--preserve=mode,timestamps|
batchproc run --progress pl
batchproc|run|--progress|plain|
batchproc fetch --segm
batchproc|fetch|--segments|
batchproc fetch -P di
batchproc|fetch|-P|dir/|
batchproc fetch --cacert=on
batchproc|fetch|--cacert=one.iso|
batchproc hash one
batchproc|hash|one.iso|
batchproc hash tw
batchproc|hash|two words|
batchproc submit --shards 3 -- ver
batchproc|submit|--shards|3|--|verify|
batchproc submit --shards 3 -- verify --keys si
batchproc|submit|--shards|3|--|verify|--keys|size|
END

cat >"$tmp/type.py" <<'END'
import fcntl, os, re, select, struct, sys, termios, pty, time

shell, script, cases = sys.argv[1:4]
start = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
first = {
    "bash": "PS1='READ''Y> '; PS2=; source " + script,
    "zsh": "unsetopt promptsp autoremoveslash; bindkey -e; fpath=(" + os.path.dirname(script) + " $fpath); autoload -Uz compinit; "
           "compinit -u -D; PROMPT='READ''Y> '",
}[shell]
pid, fd = pty.fork()
if not pid:
    os.execvp(start[0], start)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 250, 0, 0))
seen = ""

def wait(pattern):
    """Reads until it has come; what stands before its end is used up."""
    global seen
    end = time.monotonic() + 120
    while True:
        found = re.search(pattern, seen, re.M)
        if found:
            seen = seen[found.end():]
            return found
        if time.monotonic() > end or not select.select([fd], [], [], 120)[0]:
            sys.exit("%s: no %s in: %r" % (shell, pattern, seen))
        seen += os.read(fd, 65536).decode()

os.write(fd, (first + "\n").encode())
wait("READY> ")
lines = open(cases).read().splitlines()
bad = 0
for line, wanted in zip(lines[::2], lines[1::2]):
    # Ctrl-A and Ctrl-E: what is put around it has the shell print its words.
    os.write(fd, (line + "\t\x01printf '\\n{'; printf '%s|' \x05; echo '}'\n").encode())
    got = wait(r"^\{(.*)\}\r?$").group(1)
    wait("READY> ")
    if got != wanted:
        print("%s: %s: %s instead of %s" % (shell, line, got, wanted))
        bad = 1
os.write(fd, b"exit\n")
os.waitpid(pid, 0)
sys.exit(bad)
END

cd "$tmp/run"
export HOME="$tmp/home" TERM=dumb PATH="$tmp/bin:$PATH" LC_ALL=C
unset ENV BASH_ENV ZDOTDIR || :
status=0
shells=0
for shell in bash zsh; do
	if command -v $shell >/dev/null; then
		script=$scripts/batchproc.bash
		[ $shell = bash ] || script=$scripts/_batchproc
		shells=$((shells + 1))
		python3 "$tmp/type.py" $shell "$script" "$tmp/cases" || status=1
	else
		echo "left out: $shell is not installed"
	fi
done

# fish tells by itself what it would make of a line: candidates, as words.
if command -v fish >/dev/null; then
	shells=$((shells + 1))
	sed -n 'p;n' "$tmp/cases" | while IFS= read -r line; do
		got=$(fish --no-config -c "source $scripts/batchproc.fish; complete -C '$line'" | cut -f 1)
		printf '%s\n' "$line" | sed 's/[^ ]*$//; s/ /|/g; s/$/'"$(printf '%s' "$got" | sed 's/[/&]/\\&/g')"'|/'
	done >"$tmp/fish"
	sed -n 'n;p' "$tmp/cases" >"$tmp/wanted"
	diff "$tmp/wanted" "$tmp/fish" || status=1
else
	echo "left out: fish is not installed"
fi
[ $shells -gt 0 ] || exit 77

# ask WORD...: the words that are offered for the last one
ask()
{
	batchproc --complete "$@" | sed '1d; s/	.*//'
}

# What is offered is taken: a value that is none is a usage error before anything is looked at.
values=0
seen=
for verb in $(ask '' | grep -v '^-\|^help$'); do
	for option in $(ask "$verb" --); do
		# What verbs share is tried with the first that has it.
		case "$seen " in
		*" $option "*) continue ;;
		esac
		seen="$seen $option"
		for value in $(ask "$verb" "$option="); do
			values=$((values + 1))
			case $value in
			*=mtree | --update=* | --manifest=copy) ;; # these want more beside them
			--shard=auto | --engine=*) ;;
			*)
				batchproc "$verb" "$value" --help >/dev/null || {
					echo "batchproc $verb $value is offered, and not taken"
					status=1
				}
				;;
			esac
		done
	done
done
[ $values -gt 100 ] || {
	echo "only $values values are offered"
	status=1
}
exit $status
