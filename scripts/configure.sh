#!/bin/sh
# SPDX-License-Identifier: MIT
#
# configure.sh DIR: what does this machine offer? Compiles each scripts/has/*.c, shows the answers
# and leaves them in DIR:
#
#	config.mk	for make: CONFIG_FOUND, CONFIG_MISSING, CONFIG_NAME_x, CONFIG_CFLAGS, x_CFLAGS, x_LIBS
#	config.h	for C: BP_HAVE_x
#	config.d	the headers that the answers rest on: when one changes or goes, ask again
#	config.log	what the compiler said
#
# Uses CC, CFLAGS, LDFLAGS, PKG_CONFIG, SAN, SWITCH and HTTP_PARSER of the environment. Something that is missing is not
# an error here: make says so when a target needs it.
set -eu

out=$1
has=$(dirname "$0")/has
: "${CC:=cc}" "${CFLAGS:=}" "${LDFLAGS:=}" "${PKG_CONFIG:=pkg-config}" "${SAN:=}" "${SWITCH:=}" "${HTTP_PARSER:=}"

mkdir -p "$out/has"
log=$out/config.log
mk=$out/config.mk.new
h=$out/config.h.new
: >"$log"
printf '# Made by scripts/configure.sh.\n' >"$mk"
printf '/* Made by scripts/configure.sh. */\n' >"$h"
rm -f "$out"/has/*.d

say()
{
	printf '  %-7s %s ... %s\n' HAS "$1" "$2"
}

# compiles NAME CFLAGS LIBS: whether scripts/has/NAME.c becomes a program
compiles()
{
	echo "\$ $CC $CFLAGS $2 $has/$1.c $LDFLAGS $3" >>"$log"
	# The flags are lists of words.
	# shellcheck disable=SC2086
	$CC -D_GNU_SOURCE $CFLAGS $2 -MD -MP -MF "$out/has/$1.d" -MT "$out/config.mk" \
		-o "$out/has/$1" "$has/$1.c" $LDFLAGS $3 >>"$log" 2>&1
}

found=
missing=

# library NAME PKG LIBS DEBIAN TEXT: a library that some target requires; PKG is its name in
# pkg-config, LIBS what links it where pkg-config does not know it, DEBIAN Debian's package
library()
{
	cflags=$($PKG_CONFIG --cflags "$2" 2>>"$log") || cflags=
	libs=$($PKG_CONFIG --libs "$2" 2>>"$log") || libs=$3
	var=$(echo "$1" | tr '[:lower:]' '[:upper:]')
	if compiles "$1" "$cflags" "$libs"; then
		say "$5" yes
		found="$found $1"
		printf '%s_CFLAGS := %s\n%s_LIBS := %s\n' "$var" "$cflags" "$var" "$libs" >>"$mk"
	else
		say "$5" no
		missing="$missing $1"
	fi
	printf 'CONFIG_NAME_%s := %s (%s)\n' "$1" "$5" "$4" >>"$mk"
}

# optional NAME PKG LIBS TEXT: a library that is used where it is there
optional()
{
	used "$@" && printf '#define BP_HAVE_%s 1\n' "$var" >>"$h"
	return 0
}

# used NAME PKG LIBS TEXT: the same, but no source of the project's has to know
used()
{
	cflags=$($PKG_CONFIG --cflags "$2" 2>>"$log") || cflags=
	libs=$($PKG_CONFIG --libs "$2" 2>>"$log") || libs=$3
	var=$(echo "$1" | tr '[:lower:]' '[:upper:]')
	if compiles "$1" "$cflags" "$libs"; then
		say "$4" yes
		printf '%s_CFLAGS := %s\n%s_LIBS := %s\n' "$var" "$cflags" "$var" "$libs" >>"$mk"
	else
		say "$4" no
		return 1
	fi
}

# feature NAME TEXT: something that is used where it is there
feature()
{
	var=BP_HAVE_$(echo "$1" | tr '[:lower:]' '[:upper:]')
	if compiles "$1" '' ''; then
		say "$2" yes
		printf '#define %s 1\n' "$var" >>"$h"
	else
		say "$2" no
	fi
}

if ! command -v "${CC%% *}" >/dev/null; then
	printf 'The compiler %s is missing; run: make deps\n' "$CC" >&2
	exit 1
elif ! compiles compiler '' ''; then
	printf '%s %s makes no program: %s\n' "$CC" "$CFLAGS" "$(sed -n 2p "$log")" >&2
	exit 1
fi

library liburing liburing -luring liburing-dev 'liburing 2.3 or newer'
library openssl openssl '-lssl -lcrypto' libssl-dev 'OpenSSL 3'
library xxhash libxxhash -lxxhash libxxhash-dev 'xxHash 0.8 or newer'
library b2 libb2 -lb2 libb2-dev 'libb2 0.98'
library jansson jansson -ljansson libjansson-dev 'jansson 2.12 or newer'
library zlib zlib -lz zlib1g-dev 'zlib'
library cmocka cmocka -lcmocka libcmocka-dev 'cmocka 1.1 or newer'
optional idn2 libidn2 -lidn2 'libidn2'
optional nettle nettle -lnettle 'nettle 3'
optional xxhash_dispatch libxxhash -lxxhash 'xxHash that looks at the processor'
optional blake3 libblake3 -lblake3 'libblake3'
optional curl libcurl -lcurl 'libcurl, for tests'
used uv libuv -luv 'libuv, for an example' || true
optional fuse3 fuse3 -lfuse3 'libfuse 3.10 or newer, for tests'
feature valgrind 'valgrind/valgrind.h'
feature sdt 'USDT probes (sys/sdt.h)'

# One parser of HTTP is enough; HTTP_PARSER chooses where both are there.
parser=
for name in llhttp http_parser; do
	case $HTTP_PARSER in '' | "$name") ;; *) continue ;; esac
	if [ -z "$parser" ] && compiles $name '' "-l$name"; then
		parser=$name
		found="$found http_parser"
		printf 'HTTP_PARSER_LIBS := -l%s\n' $name >>"$mk"
		printf '#define BP_HAVE_%s 1\n' "$(echo $name | tr '[:lower:]' '[:upper:]')" >>"$h"
	fi
done
[ -n "$parser" ] || missing="$missing http_parser"
say 'HTTP parser' "${parser:-no}"
echo 'CONFIG_NAME_http_parser := llhttp 8 or http-parser 2.9 (libllhttp-dev, libhttp-parser-dev)' >>"$mk"

# A frame larger than the guard below a stack must not step over it. GCC for aarch64 takes guards to be
# of 64 KiB unless it is told.
probes=
for flags in '-fstack-clash-protection --param=stack-clash-protection-guard-size=12' \
	-fstack-clash-protection; do
	if [ -z "$probes" ] && compiles compiler "-Werror $flags" ''; then
		probes=$flags
		printf '#define BP_HAVE_STACK_PROBES 1\n' >>"$h"
	fi
done
say 'stack probes' "$([ -n "$probes" ] && echo yes || echo no)"

# The assembly that fits, by what the compiler makes code for, not by what it runs on.
# shellcheck disable=SC2086
macros=$($CC $CFLAGS -dM -E -x c /dev/null)
case $SWITCH$macros in
ucontext*) switch=ucontext ;;
*'__ILP32__ 1'* | *'__APX_F__ 1'*) switch=ucontext ;;
*'__x86_64__ 1'*) switch=x86_64 ;;
*'__aarch64__ 1'*) switch=aarch64 ;;
*) switch=ucontext ;;
esac
if [ $switch = ucontext ]; then
	printf '#define BP_SWITCH_UCONTEXT 1\n' >>"$h"
fi
say 'context switch' "$switch"

# Kernels that spread addresses over more bits than ThreadSanitizer's runtime knows need it off.
runner=
case $SAN in
*thread*)
	if ! "$out/has/compiler" >>"$log" 2>&1; then
		runner="setarch $(uname -m) -R"
		# shellcheck disable=SC2086
		if $runner "$out/has/compiler" >>"$log" 2>&1; then
			say 'ThreadSanitizer' 'without address randomisation'
		else
			say 'ThreadSanitizer' 'its programs do not start here'
		fi
	fi
	;;
esac

{
	printf 'CONFIG_FOUND :=%s\nCONFIG_MISSING :=%s\n' "$found" "$missing"
	printf 'CONFIG_SWITCH := %s\nCONFIG_RUNNER := %s\n' "$switch" "$runner"
	printf 'CONFIG_CFLAGS := %s\n' "$probes"
} >>"$mk"

# A config.h that says the same keeps its time, so that nothing is compiled again.
cmp -s "$h" "$out/config.h" || cp "$h" "$out/config.h"
rm -f "$h"
cat "$out"/has/*.d >"$out/config.d"
mv "$mk" "$out/config.mk"
