#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The documents keep up with the code: every public function and every option of the command has
# its place in a manual page, topics of the help too, and the pages are clean. scripts/check-docs.sh looks at links,
# tables and spelling.
# BATCHPROC is the command. Run in the top directory of the source.
set -eu

status=0
wrong()
{
	echo "$1" >&2
	status=1
}

functions=$(sed -n 's/^[[:space:]]*\(bp_[a-z0-9_]*\);$/\1/p' lib/batchproc.map
	sed -n 's/^static inline .*[ *]\(bp_[a-z0-9_]*\)(.*/\1/p' lib/batchproc.h)
[ -n "$functions" ] || wrong "no functions in lib/batchproc.map"
for function in $functions; do
	grep -qE "^\.Nm $function( ,)?\$" docs/man/*.3 || wrong "$function has no manual page"
	grep -qE "^\.Fn $function( |\$)" docs/man/*.3 || wrong "$function has no synopsis"
done

verbs=$("$BATCHPROC" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ -n "$verbs" ] || wrong "batchproc --help names no commands"
for verb in $verbs; do
	page=docs/man/batchproc-$verb.1
	[ -e "$page" ] || wrong "batchproc $verb has no manual page"
	options=$("$BATCHPROC" "$verb" --help |
		sed -n 's/^ \{2,6\}\(-[A-Za-z0-9], \)\{0,1\}--\([a-z0-9-]*\).*/\2/p')
	[ -n "$options" ] || wrong "batchproc $verb --help names no options"
	for option in $options; do
		cat "$page" docs/man/batchproc.1 | grep -qE "Fl Fl $option( |\$)" ||
			wrong "batchproc $verb --$option is in no manual page"
	done
done

# What a topic of `batchproc help` speaks of is there: options, variables, and the numbers of the exit status.
topics=$("$BATCHPROC" help | sed -n '/^What they share/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ "$(echo "$topics" | wc -w)" -ge 7 ] || wrong "batchproc help names no topics"
helps=$(for verb in $verbs; do "$BATCHPROC" "$verb" --help; done)
for topic in $topics; do
	text=$("$BATCHPROC" help "$topic") || wrong "batchproc help $topic failed"
	[ "$(echo "$text" | wc -L)" -le 96 ] || wrong "batchproc help $topic has long lines"
	grep -qwE "$topic" docs/man/batchproc.1 || wrong "the topic $topic is not in batchproc(1)"
	for option in $(echo "$text" | grep -oE -e '--[a-z][a-z-]*'); do
		echo "$helps" | grep -qF -e "$option" || wrong "batchproc help $topic: no option $option"
	done
done
for word in $("$BATCHPROC" help status | sed -n 's/^  \([0-9][0-9N+]*\) .*/\1/p'); do
	grep -qxF ".It $word" docs/man/batchproc.1 || wrong "batchproc help status: $word is not in batchproc(1)"
done
for word in $("$BATCHPROC" help environment | sed -n 's/^  \([A-Za-z].*\)/\1/p' |
	sed 's/   .*//; s/ and others//; s/,//g'); do
	grep -qE "^\.Ev .*\b$word\b|^\.It Ev .*\b$word\b" docs/man/batchproc.1 ||
		wrong "batchproc help environment: $word is not in batchproc(1)"
done

# The map and the lesson name files that are there; NAME stands for any.
names=$(grep -ohE '[A-Za-z_]+(/[A-Za-z_]+)*\.[ch]\b' docs/architecture.md docs/add-a-verb.md |
	grep -vxE '.*NAME.*|lines\.c|string\.h')
for name in $names; do
	find ./lib ./tools -path "*/$name" | grep -q . ||
		wrong "docs/architecture.md or docs/add-a-verb.md: no such file: $name"
done

# What is said to be fuzzed can be.
names=$(grep -ohE 'make fuzz T=[a-z_]+' CONTRIBUTING.md docs/*.md | sed 's/.*=//')
for name in $names; do
	[ -e "tests/fuzz/fuzz_$name.c" ] || wrong "make fuzz T=$name: there is no tests/fuzz/fuzz_$name.c"
done

# With -n a manifest is read and checked, and nothing is done.
for manifest in docs/examples/*.manifest; do
	"$BATCHPROC" run -n "$manifest" >/dev/null || wrong "$manifest is none"
done

# The verb that a page shows is one.
# shellcheck disable=SC2016
if [ -n "${TEST_CC-}" ]; then
	sed -n '/^<!-- verb: /,/^```$/p' docs/add-a-verb.md | sed '1,/^```c$/d; /^```$/d' |
		$TEST_CC -D_GNU_SOURCE= -Werror -fsyntax-only -iquote tools/batchproc \
			-I "$(dirname "$BATCHPROC")/include" -x c - || wrong "docs/add-a-verb.md shows no verb"
fi

if command -v mandoc >/dev/null; then
	for page in docs/man/*.[13]; do
		mandoc -T lint -W warning "$page" >&2 || wrong "$page is not clean"
	done
fi
exit $status
