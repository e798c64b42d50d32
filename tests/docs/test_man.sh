#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the manual pages show works: the lines behind ".Dl $" of the pages about files are run, each page's in a
# directory of its own with the trees and lists that they speak of, and the examples of the pages about functions
# compile. test_net_shown has the lines of fetch and probe, test_slurm those of submit. BATCHPROC is the command.
# Run in the top directory of the source.
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/bin"
ln -s "$(realpath "$BATCHPROC")" "$tmp/bin/batchproc"
: "${TEST_CC:=cc}" "${TEST_CXX:=g++}"
include=$(dirname "$(realpath "$BATCHPROC")")/include
status=0

scenery()
{
	mkdir -p home/me/d mnt backup photos tree/sub data cache build bag1 bag2
	echo a >home/me/a && echo b >home/me/d/b && echo p >photos/p.jpg && echo t >tree/sub/t && echo o >build/x.o
	head -c 2000 /dev/zero >data/large && echo s >data/small
	echo old >cache/old && touch -d '2001-02-03' cache/old && echo new >cache/new
	echo x >bag1/x && echo y >bag2/y
	batchproc hash -q --bag bag1 >/dev/null && batchproc hash -q --bag bag2 >/dev/null
	batchproc hash -r tree >list
	printf 'hash tree/sub/t\ncopy photos/p.jpg backup\n' >"jobs"
}

export PATH="$tmp/bin:$PATH" LC_ALL=C
for page in copy hash list merge rm run verify; do
	mkdir "$tmp/$page"
	# What is absolute there is here; a gigabyte is a kibibyte, and an hour no time.
	sed -n 's/^\.Dl \$ //p' "docs/man/batchproc-$page.1" |
		sed 's/\\(dq/"/g; s/\\&//g; s/\\ / /g; s, /\(home\|mnt\|backup\), \1,g; s/ 1G / 1K /; s/sleep 1h/sleep 0/' >"$tmp/$page.lines"
	[ -s "$tmp/$page.lines" ] || { echo "batchproc-$page.1 shows nothing"; status=1; }
	(cd "$tmp/$page" && scenery)
	while IFS= read -r line; do
		case $line in
		*jq*)
			command -v jq >/dev/null || { echo "left out, no jq: $line"; continue; }
			;;
		# Nothing fails here, so that there is nothing to do again.
		*'| batchproc run') line="$line --allow-empty" ;;
		esac
		(cd "$tmp/$page" && sh -c "$line") >"$tmp/said" 2>&1 </dev/null || {
			echo "batchproc-$page.1: failed: $line"
			cat "$tmp/said"
			status=1
		}
	done <"$tmp/$page.lines"
done
for file in copy/mnt/backup/d/b copy/mnt/disk/p.jpg list/backup/data/large run/backup/p.jpg; do
	[ -e "$tmp/$file" ] || { echo "nothing made $file"; status=1; }
done
if [ -e "$tmp/list/cache/old" ] || [ ! -e "$tmp/list/cache/new" ]; then
	echo "the jobs of list are others"
	status=1
fi

# What is shown is what can be typed: mdoc takes the blank before a lone point away, and gives one hyphen only to
# what follows a comma behind "Fl Fl".
if grep -nE '^\.Dl .* [].,;:?!()[]( |$)|Fl Fl [a-z-]+ , [a-z][a-z-]' docs/man/*.[13]; then
	echo "these lines come out differently"
	status=1
fi

# examples_of PAGE: its blocks of code; what is no function is the inside of one
examples_of()
{
	awk '
		/^\.Sh/ { on = /EXAMPLES/ }
		on && /^\.Bd -literal/ { block++; text = ""; inside = 1; whole = 0; next }
		on && /^\.Ed/ {
			if (whole)
				print text
			else
				print "void example" block "(FRAME)\n{\n" text "}"
			inside = 0
			next
		}
		inside {
			gsub(/\\-/, "-")
			gsub(/\\e/, "\\")
			if (/^\.\.\.$/ || /^[ \t]+\.\.\.$/)
				$0 = ";"
			if (/^#include/ || /^(static )?int [a-z_]*\(/)
				whole = 1
			text = text $0 "\n"
		}' "$1"
}

# Names that the fragments take from around them.
cat >"$tmp/frame.h" <<'END'
#include <batchproc.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#define FRAME                                                                                                       \
	struct bp_engine *engine, struct bp_group *group, struct bp_buf_ring *ring, int fd, bp_task_fn work,        \
		void *arg, pid_t pid, void *addr, unsigned int len, int res0
struct sink {
	struct bp_mutex mutex;
	int fd;
};
int ask(int), res, mirror, other_mirror;
END
compiled=0
for page in docs/man/*.3; do
	[ "$page" != docs/man/batchproc.hpp.3 ] || continue
	examples_of "$page" >"$tmp/code"
	[ -s "$tmp/code" ] || continue
	compiled=$((compiled + 1))
	cat "$tmp/frame.h" "$tmp/code" >"$tmp/example.c"
	$TEST_CC -D_GNU_SOURCE= -I "$include" -w -Werror=implicit-function-declaration -fsyntax-only "$tmp/example.c" || {
		echo "$page: its example does not compile"
		status=1
	}
done
[ $compiled -ge 8 ] || { echo "only $compiled pages have examples"; status=1; }
if command -v "$TEST_CXX" >/dev/null; then
	{
		printf '#include <fcntl.h>\n#include <string>\n#include <vector>\n#include <batchproc.hpp>\n#define FRAME std::vector<std::string> paths\n'
		examples_of docs/man/batchproc.hpp.3
	} >"$tmp/example.cc"
	$TEST_CXX -D_GNU_SOURCE= -iquote lib -I lib -I "$include" -w -fsyntax-only "$tmp/example.cc" || {
		echo "docs/man/batchproc.hpp.3: its example does not compile"
		status=1
	}
fi
exit $status
