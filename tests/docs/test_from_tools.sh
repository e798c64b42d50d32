#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Both lines of each row of docs/guide/from-tools.md do the same: run in trees that are alike, they leave
# the same, and print the same lines, in whatever order; port 8001 is that of a server here. A row whose program is not there is left out
# by name. BATCHPROC is the command. Run in the top directory of the source.
set -eu

page=$PWD/docs/guide/from-tools.md
tmp=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$tmp"' EXIT
command=$(realpath "$BATCHPROC")
mkdir "$tmp/bin"
ln -s "$command" "$tmp/bin/batchproc"
PATH=$tmp/bin:$PATH
export PATH LC_ALL=C
cd "$tmp"

mkdir -p tree/src/a/b tree/dst/a tree/dst/old tree/empty
(
	cd tree
	echo f >f && echo g >g && echo c >src/x.c && echo o >src/x.o && echo o >src/a/y.o
	echo g >src/a/g && echo h >src/a/b/h && ln -s x.c src/link && head -c 9000 /dev/zero >src/big
	echo old >dst/old/f && echo o >dst/z.o && echo x >dst/x.c && printf '# no\n*.o\n/a/b/\n' >rules
	printf 'a/g\nx.c\n' >below && printf 'f\ng\n' >list && printf 'f\0g\0' >list0
	sha256sum f g >sums
	touch -d '2001-02-03 04:05:06' f src/x.c src/a
)

# A server with two files, where python3 is; on a port of its own.
port=
if command -v python3 >/dev/null; then
	mkdir www
	echo hello >www/a.txt
	echo world >www/b.txt
	python3 -u -m http.server 0 --bind 127.0.0.1 -d www >server 2>&1 &
	server=$!
	tries=0
	until port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' server) && [ -n "$port" ]; do
		tries=$((tries + 1))
		[ $tries -lt 500 ] || { cat server; exit 1; }
		sleep 0.02
	done
	printf 'http://localhost:%s/a.txt\nhttp://localhost:%s/b.txt\n' "$port" "$port" >tree/urls
fi

# run DIR LINE: what it printed is in DIR.out, what there is in DIR.list
run()
{
	rm -rf "$1"
	cp -a tree "$1"
	status=0
	(cd "$1" && sh -c "$2") >"$1.raw" 2>"$1.err" </dev/null || status=$?
	tr '\0' '\n' <"$1.raw" | sort >"$1.out"
	{
		echo "exit $status"
		cd "$1" && find . -printf '%y %m %n %p %l\n' | sort && find . -type f -exec cksum {} + | sort
		cd ..
	} >"$1.list"
}

rows=0 bad=0
# shellcheck disable=SC2016 # backquotes of the page
sed -n 's/^| `\(.*\)` | `\(.*\)` |$/\1\t\2/p' "$page" | sed 's/\\|/|/g' >pairs
while IFS="$(printf '\t')" read -r theirs ours; do
	program=${theirs%% *}
	if ! command -v "$program" >/dev/null; then
		echo "left out, no $program: $theirs"
		continue
	fi
	case $theirs in
	*:8001* | *urls*) [ -n "$port" ] || { echo "left out, no python3: $theirs"; continue; } ;;
	esac
	rows=$((rows + 1))
	run theirs "$(echo "$theirs" | sed "s/8001/$port/g")"
	run ours "$(echo "$ours" | sed "s/8001/$port/g")"
	if ! cmp -s theirs.out ours.out || ! cmp -s theirs.list ours.list; then
		echo "$theirs" "-" "$ours:"
		diff -U0 theirs.out ours.out || :
		diff -U0 theirs.list ours.list || :
		cat ours.err
		bad=$((bad + 1))
	fi
done <pairs
[ "$rows" -ge 40 ] || { echo "only $rows rows"; exit 1; }
[ "$bad" = 0 ] || { echo "$bad of $rows rows differ"; exit 1; }
