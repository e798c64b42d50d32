# SPDX-License-Identifier: MIT
#
# batchproc: the options and targets that people call; `make help` lists them.
#
# Kbuild-like. Each directory has a small Makefile that lists its objects and programs; how these
# are built is in scripts/rules.mk, what this machine offers is asked by scripts/configure.sh.
# There is one make for all directories, so -j sees every dependency.
#
# More than one goal on a command line (`make -j4 deps check`, `make clean all`) means one after
# the other, each in a make of its own: the second must not even read its configuration before
# the first has ended.

srctree := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
ifneq ($(srctree),$(CURDIR))
$(error Run this as: make -C $(srctree))
endif

MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
SHELL := /bin/sh
export LC_ALL := C

ifneq ($(word 2,$(MAKECMDGOALS)),)

.PHONY: one-by-one $(MAKECMDGOALS)
$(MAKECMDGOALS): one-by-one
	@:
one-by-one:
	@status=0; for goal in $(MAKECMDGOALS); do \
		$(MAKE) "$$goal" || $(if $(findstring k,$(filter-out -%,$(firstword $(MAKEFLAGS)))),status=$$?,exit $$?); \
	done; exit $$status

else

# ---------------------------------------------------------------- options

# Where the output goes.
O := build
ifneq ($(words $(O)),1)
$(error O=$(O): make cannot work with a space in a name, or with none)
endif
override O := $(patsubst $(CURDIR)/%,%,$(abspath $(O)))
ifeq ($(O),$(CURDIR))
$(error O= must not be the source directory)
endif

# V=1 shows whole commands.
V := 0
ifeq ($(V),1)
Q :=
quiet :=
else
Q := @
quiet := 1
endif

ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)$(if $(CROSS_COMPILE),gcc,cc)
endif
ifeq ($(origin AR),default)
AR := $(CROSS_COMPILE)ar
endif
CC ?= $(CROSS_COMPILE)$(if $(CROSS_COMPILE),gcc,cc)
AR ?= $(CROSS_COMPILE)ar
NM ?= $(CROSS_COMPILE)nm
OBJCOPY ?= $(CROSS_COMPILE)objcopy
READELF ?= $(CROSS_COMPILE)readelf
PKG_CONFIG ?= $(CROSS_COMPILE)pkg-config
INSTALL ?= install
LDCONFIG ?= ldconfig
CLANG_FORMAT ?= clang-format
CPPCHECK ?= cppcheck
SHELLCHECK ?= shellcheck

prefix ?= /usr/local
bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
docdir ?= $(prefix)/share/doc/batchproc
bashcompdir ?= $(prefix)/share/bash-completion/completions
zshcompdir ?= $(prefix)/share/zsh/site-functions
fishcompdir ?= $(prefix)/share/fish/vendor_completions.d
pkgconfigdir ?= $(libdir)/pkgconfig
DESTDIR ?=

# The version has one place: the public header.
version-of = $(shell sed -n 's/^.define BP_VERSION_$(1) \([0-9]*\)$$/\1/p' lib/batchproc.h)
VERSION_MAJOR := $(call version-of,MAJOR)
VERSION := $(VERSION_MAJOR).$(call version-of,MINOR).$(call version-of,PATCH)

# ---------------------------------------------------------------- flags

ifeq ($(DEBUG),1)
CFLAGS ?= -Og -g3
bp-cppflags += -DBP_DEBUG
else
CFLAGS ?= -O2 -g
endif

bp-cppflags += -D_GNU_SOURCE=
bp-cflags := -std=gnu11 -Wall -Wextra -pthread

ifneq ($(filter 1,$(W)),)
bp-cflags += -Wshadow -Wundef -Wvla -Wpointer-arith -Wformat-security
bp-cflags += -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
endif
ifeq ($(WERROR),1)
bp-cflags += -Werror
endif

# LAZY=0 links the command to all libraries; else most are loaded when they are needed.
LAZY := 1

comma := ,
ifneq ($(SAN),)
ifneq ($(filter-out address undefined thread leak,$(subst $(comma), ,$(SAN))),)
$(error SAN=$(SAN): it is address, undefined, leak or thread, with commas between)
endif
san-flags := -fsanitize=$(SAN) -fno-omit-frame-pointer
san-flags += $(if $(findstring undefined,$(SAN)),-fno-sanitize-recover=undefined)
endif

ifneq ($(SWITCH),$(filter ucontext,$(SWITCH)))
$(error SWITCH=$(SWITCH): it is ucontext, or nothing for the assembly of this machine)
endif

ifneq ($(HTTP_PARSER),$(filter llhttp http_parser,$(HTTP_PARSER)))
$(error HTTP_PARSER=$(HTTP_PARSER): it is llhttp or http_parser, or nothing for the first that is there)
endif

# ---------------------------------------------------------------- targets

.PHONY: all lib demo picture check sim breakages fuzz bench bench-instructions install uninstall
all: ## build the library, the command, the benchmark and the examples (the default)
lib: ## build the library alone
demo: ## hash a real tree through the library, and show it; DEMO=DIR chooses the tree
picture: ## run the demo, and draw the picture of README.md anew: docs/demo.svg
tests: ## build the test programs without running them
check: ## run the tests; T='NAME...' CASE=PATTERN choose, JOBS=N at a time, VALGRIND=1 in valgrind
sim: ## play SEEDS=N random programs on the simulated backend (10,000,000 by default)
breakages: ## break the library on purpose, and see that the simulation finds each breakage
fuzz: ## look for input that breaks a parser; T='NAME...' choose, SECONDS=N for each (60)
bench: ## run the benchmark; ARGS= are its arguments
bench-instructions: ## count the instructions of an operation that does nothing, in valgrind
install: ## install the library, its header, manual pages, guide, examples, the command and its completion
uninstall: ## remove what install put there

no-build-goals := help deps deps-ci bench-deps clean distclean dist check-packages check-musl format format-check cppcheck shellcheck docs-check
ifeq ($(filter $(no-build-goals),$(MAKECMDGOALS)),)
include scripts/rules.mk

lib-files := $(addprefix $(libbatchproc),.a .so)
command := $(filter $(O)/batchproc,$(all-progs))
lib: $(lib-files)
all: $(lib-files) $(all-progs) $(all-examples)

demo: $(command)
	@BATCHPROC='$(abspath $(O)/batchproc)' scripts/demo.sh '$(DEMO)'

picture: $(command)
	$(Q)BATCHPROC='$(abspath $(O)/batchproc)' scripts/picture.sh >$(O)/demo.svg
	$(Q)cp $(O)/demo.svg docs/demo.svg

# ---------------------------------------------------------------- check

.PHONY: tests
tests: $(all-tests) $(all-helpers)

# What the sanitizers' runtimes are told unless the environment says otherwise.
export ASAN_OPTIONS ?= detect_stack_use_after_return=0:strict_string_checks=1
export UBSAN_OPTIONS ?= print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS ?= halt_on_error=1:second_deadlock_stack=1:suppressions=$(CURDIR)/scripts/tsan.txt

# Seconds for one test program; each of these makes them slower.
TEST_TIMEOUT ?= $(if $(SAN)$(VALGRIND),1200,300)
ifeq ($(VALGRIND),1)
memcheck := valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite
export VALGRIND
# Valgrind 3.19 takes io_uring_enter for a call that never waits: while one thread stands in it
# no other runs. So only what the calling thread drives by itself.
CASE ?= *uring]
endif

# It sets what all programs of this machine see.
kind-test_sysctl.sh := alone

# Where io_uring is refused: the command, and the conformance cases on what is left. At a twentieth of their size,
# since what is another there is how it begins. Under sanitizers one program for each thing that the command does
# on threads, and no cases, which have run there already. Where it is not there at all, a few: the same program again.
refused = 'cmocka $(1)/$(notdir $(3)) env TEST_REFUSE=$(2) TEST_SHARE=20 $(3) $(4)'
tests-of = $(filter $(O)/tests/$(2)/$(1)_%,$(all-tests))
refused-few := run copy copy_resume hash verify rm rm_trees list fetch fetch_segments probe signals stops
refused-cmds = $(if $(SAN),$(refused-few:%=$(O)/tests/command/cmd_%),$(call tests-of,cmd,command))
refused-list = $(foreach t,$(refused-cmds),$(call refused,denied,EPERM,$(t))) \
	$(if $(SAN),,$(foreach t,$(call tests-of,conf,lib),$(call refused,denied,EPERM,$(t),*[threads*))) \
	$(foreach t,cmd_hash cmd_limits,$(call refused,hidden,ENOSYS,$(O)/tests/command/$(t)))

test-scripts := $(wildcard tests/*/test_*.sh)

check-list = $(refused-list) $(foreach t,$(all-tests),'cmocka $(notdir $(t)) $(t)') \
	$(foreach t,$(test-scripts),'$(or $(kind-$(notdir $(t))),script) $(basename $(notdir $(t))) $(t)') \
	$(foreach t,$(all-examples),'program $(t:$(O)/docs/%=%) $(t) $(args-$(t))') \
	'script symbols scripts/check-abi.sh lib/batchproc.h lib/batchproc_sim.h lib/batchproc.map $(libbatchproc).so $(libbatchproc).a' \
	'script install scripts/check-install.sh $(O)' \
	'script floors scripts/check-floors.sh $(O)'

# With T only what it names is built; scripts may need everything but the other tests.
check-patterns := $(subst *,%,$(patsubst denied/%,%,$(patsubst hidden/%,%,$(or $(T),*))))
check-tests := $(filter $(foreach d,lib command support,$(addprefix $(O)/tests/$d/,$(check-patterns))),$(all-tests))
check-examples := $(filter $(addprefix $(O)/docs/,$(check-patterns)),$(all-examples))
check-scripts := $(filter $(check-patterns),symbols install floors $(basename $(notdir $(test-scripts))))

# Under another name, or `make -n check` would run the tests: make runs what it sees to call make.
test-make = $(MAKE) $(MAKEOVERRIDES)

check: $(check-tests) $(all-helpers) $(check-examples) $(if $(check-scripts),$(lib-files) $(all-progs)) \
		$(if $(filter test_shown,$(check-scripts)),$(all-examples))
	@printf '%s\n' $(check-list) | \
		BATCHPROC='$(abspath $(O)/batchproc)' \
		TEST_CC='$(strip $(CC) $(LIBURING_CFLAGS) $(CPPFLAGS) $(bp-cflags) $(CFLAGS) $(san-flags))' \
		TEST_LDFLAGS='$(LDFLAGS)' TEST_NM='$(NM)' TEST_PKG_CONFIG='$(PKG_CONFIG)' \
		TEST_MAKE='$(test-make)' MAKEFLAGS= \
		T='$(T)' CASE='$(CASE)' JOBS='$(JOBS)' V='$(V)' TEST_TIMEOUT='$(TEST_TIMEOUT)' \
		RUNNER='$(CONFIG_RUNNER)' MEMCHECK='$(memcheck)' scripts/check.sh $(O)/check

sim: $(O)/tests/lib/test_sim
	$(O)/tests/lib/test_sim play $(or $(FIRST),0) $(or $(SEEDS),10000000)

breakages:
	@TEST_MAKE='$(test-make)' MAKEFLAGS= scripts/breakages.sh $(O)/breakages $(SEEDS)

# What is fuzzed is compiled anew, for clang's libFuzzer; all else is linked as it is.
fuzz: $(O)/config.h $(public-header) $(O)/tools/batchproc/parts.a $(libbatchproc).a
	@T='$(T)' LIBS='$(filter %.a,$^) $(part-libs) $(LIBURING_LIBS) $(CURL_LIBS)' \
		CPPFLAGS='$(bp-cppflags) -std=gnu11 -iquote tools/batchproc $(public-header:%/batchproc.h=-I%) -include $(O)/config.h $(LIBURING_CFLAGS) $(part-cflags)' \
		scripts/fuzz.sh $(O)/fuzz $(or $(SECONDS),60)

# ---------------------------------------------------------------- install

man-pages := $(wildcard docs/man/*.[1-9])
man-built := $(man-pages:%=$(O)/%)
pc-file := $(O)/lib/batchproc.pc

$(pc-file): lib/batchproc.pc.in FORCE
	$(call run,gen)

$(man-built): $(O)/%: % FORCE
	$(call run,gen)

all lib: $(pc-file)
all: $(man-built)

dest-of-page = $(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(1)))
so-names := libbatchproc.so.$(VERSION) libbatchproc.so.$(VERSION_MAJOR) libbatchproc.so

completion := tools/batchproc/completion

guides := $(wildcard docs/*.md docs/guide/*.md)
guide-examples := $(wildcard docs/examples/*.[ch] docs/examples/*.go docs/examples/*.cc docs/examples/*.manifest tools/trace/*.bt)

install: $(lib-files) $(command) $(pc-file) $(man-built)
	@echo '  INSTALL $(DESTDIR)$(prefix)'
	$(Q)$(INSTALL) -d '$(DESTDIR)$(libdir)' '$(DESTDIR)$(includedir)' \
		'$(DESTDIR)$(pkgconfigdir)' '$(DESTDIR)$(bindir)'
	$(Q)$(INSTALL) -m 644 $(libbatchproc).a '$(DESTDIR)$(libdir)'
	$(Q)$(INSTALL) -m 755 $(libbatchproc).so.$(VERSION) '$(DESTDIR)$(libdir)'
	$(Q)ln -sf $(word 1,$(so-names)) '$(DESTDIR)$(libdir)/$(word 2,$(so-names))'
	$(Q)ln -sf $(word 2,$(so-names)) '$(DESTDIR)$(libdir)/$(word 3,$(so-names))'
	$(Q)$(INSTALL) -m 644 lib/batchproc.h lib/batchproc.hpp lib/batchproc_sim.h '$(DESTDIR)$(includedir)'
	$(Q)$(INSTALL) -m 644 $(pc-file) '$(DESTDIR)$(pkgconfigdir)'
	$(Q)$(foreach p,$(command),$(INSTALL) -m 755 $(p) '$(DESTDIR)$(bindir)')
	$(Q)$(foreach m,$(man-built),$(INSTALL) -d '$(call dest-of-page,$(m))' && \
		$(INSTALL) -m 644 $(m) '$(call dest-of-page,$(m))' &&) :
	$(Q)scripts/man-aliases.sh install '$(DESTDIR)$(mandir)' $(man-pages)
	$(Q)$(INSTALL) -d '$(DESTDIR)$(bashcompdir)' '$(DESTDIR)$(zshcompdir)' '$(DESTDIR)$(fishcompdir)'
	$(Q)$(INSTALL) -m 644 $(completion)/batchproc.bash '$(DESTDIR)$(bashcompdir)/batchproc'
	$(Q)$(INSTALL) -m 644 $(completion)/_batchproc '$(DESTDIR)$(zshcompdir)'
	$(Q)$(INSTALL) -m 644 $(completion)/batchproc.fish '$(DESTDIR)$(fishcompdir)'
	$(Q)$(INSTALL) -d '$(DESTDIR)$(docdir)/examples' '$(DESTDIR)$(docdir)/guide'
	$(Q)$(INSTALL) -m 644 $(filter-out docs/guide/%,$(guides)) '$(DESTDIR)$(docdir)'
	$(Q)$(INSTALL) -m 644 $(filter docs/guide/%,$(guides)) '$(DESTDIR)$(docdir)/guide'
	$(Q)$(INSTALL) -m 644 $(guide-examples) '$(DESTDIR)$(docdir)/examples'
	$(Q)if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then $(LDCONFIG) || true; fi

uninstall:
	@echo '  REMOVE  $(DESTDIR)$(prefix)'
	$(Q)rm -f '$(DESTDIR)$(libdir)/libbatchproc.a' '$(DESTDIR)$(includedir)/batchproc.h' \
		'$(DESTDIR)$(includedir)/batchproc.hpp' '$(DESTDIR)$(includedir)/batchproc_sim.h' \
		'$(DESTDIR)$(pkgconfigdir)/batchproc.pc' '$(DESTDIR)$(bindir)/batchproc' \
		'$(DESTDIR)$(bashcompdir)/batchproc' '$(DESTDIR)$(zshcompdir)/_batchproc' \
		'$(DESTDIR)$(fishcompdir)/batchproc.fish' \
		$(foreach n,$(so-names),'$(DESTDIR)$(libdir)/$(n)') \
		$(foreach m,$(man-pages),'$(call dest-of-page,$(m))/$(notdir $(m))')
	$(Q)scripts/man-aliases.sh remove '$(DESTDIR)$(mandir)' $(man-pages)
	$(Q)rm -f $(foreach f,$(guides),'$(DESTDIR)$(docdir)/$(f:docs/%=%)') \
		$(foreach f,$(guide-examples),'$(DESTDIR)$(docdir)/examples/$(notdir $(f))')
	$(Q)rmdir '$(DESTDIR)$(docdir)/examples' '$(DESTDIR)$(docdir)/guide' '$(DESTDIR)$(docdir)' 2>/dev/null || true
endif

.PHONY: help deps deps-ci bench-deps clean distclean dist check-packages check-musl format format-check cppcheck shellcheck docs-check

help: ## this text
	@scripts/help.sh $(MAKEFILE_LIST)

deps: ## install what building, demo and check need, with the distribution's package manager
	@CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' scripts/deps.sh build

deps-ci: ## install what only .ci/run needs
	@CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' scripts/deps.sh build ci

bench-deps: ## install the benchmark's peers, and gnuplot for its pictures
	@CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' scripts/deps.sh build bench

# An output directory is removed only when this Makefile made it.
clean: ## remove what was built
	@if [ -e $(O)/config.key ]; then echo '  CLEAN   $(O)'; rm -rf $(O)/*; fi

distclean: clean ## remove the output directory too
	@if [ -d $(O) ]; then rmdir $(O) 2>/dev/null || true; fi

c-sources = $(shell find lib tools tests docs scripts -name '*.[ch]' | LC_ALL=C sort)
sh-sources = $(shell grep -lrI '^\#!.*sh$$' scripts tests findings .ci | LC_ALL=C sort)

# Of one commit it is the same each time, byte for byte.
dist: ## make a tarball of the last commit in O
	@mkdir -p $(O)
	$(Q)git archive --format=tar --prefix=batchproc-$(VERSION)/ HEAD | gzip -9n >$(O)/batchproc-$(VERSION).tar.gz
	@echo '  DIST    $(O)/batchproc-$(VERSION).tar.gz'

check-packages: ## make the Debian packages from that tarball, and try them in a new Debian (root, a mirror)
	@scripts/check-packages.sh

check-musl: ## build library and examples with musl, and run them
	@scripts/check-musl.sh $(O)

format: ## format the C sources
	$(Q)$(CLANG_FORMAT) -i $(c-sources)

format-check: ## fail when a C source is not formatted
	@echo '  FORMAT  $(words $(c-sources)) files'
	$(Q)$(CLANG_FORMAT) --dry-run -Werror $(c-sources)

cppcheck: ## static analysis
	@echo '  CPPCHK  lib tools tests docs'
	$(Q)$(CPPCHECK) --quiet --error-exitcode=1 --std=c11 --inline-suppr -j 2 \
		--enable=warning,performance,portability --suppressions-list=scripts/cppcheck.txt \
		-Ilib -Itools/batchproc -Itests -D_GNU_SOURCE -D__x86_64__ lib tools tests docs/examples

docs-check: ## check the documents: links, tables, spelling
	$(Q)scripts/check-docs.sh

shellcheck: ## check the scripts
	@echo '  SHELLCK $(words $(sh-sources)) files'
	$(Q)$(SHELLCHECK) -x $(sh-sources)

endif
