# SPDX-License-Identifier: MIT
#
# How things are built. A directory's Makefile may set
#
#	subdir-y	directories below it to read too
#	lib-y		a library's name, made of obj-y: libNAME.a and libNAME.so
#	obj-y		objects of that library
#	prog-y		programs; NAME-objs are the objects of one, NAME.o by default
#	test-y		test programs, run by check; likewise. NAME-also are objects and
#			archives of other directories, NAME-libs the libraries that these need
#	helper-y	programs that tests start, of NAME-objs alone; built with the tests
#	example-y	example programs: against the installed interface alone, run by check with
#			the arguments NAME-args
#	common-y	objects that every program of this directory gets
#	need-y		what scripts/configure.sh must have found: liburing openssl xxhash b2 jansson zlib
#			http_parser cmocka
#	ccflags-y	compiler flags for this directory
#	ldlibs-y	libraries to link its programs with
#
# A target is made again when a prerequisite is newer or when its command is another one; the
# command is kept next to it in TARGET.cmd.

# ---------------------------------------------------------------- configuration

config-key := $(CC)|$(PKG_CONFIG)|$(CPPFLAGS) $(CFLAGS) $(san-flags) $(LDFLAGS)|$(SWITCH)|$(HTTP_PARSER)
ifneq ($(strip $(config-key)),$(strip $(file <$(O)/config.key)))
ifneq ($(filter-out $(O)/config.key,$(wildcard $(O)/*)),)
ifeq ($(wildcard $(O)/config.key),)
$(error O=$(O) holds other files: it must be a new, an empty or an earlier output directory)
endif
endif
$(shell mkdir -p $(O))
$(file >$(O)/config.key,$(config-key))
endif

include $(O)/config.mk
-include $(O)/config.d
bp-cflags += $(CONFIG_CFLAGS)

# While something is missing it is looked for again each time, once for each make.
$(O)/config.mk: scripts/configure.sh $(wildcard scripts/has/*.c) $(O)/config.key \
		$(if $(CONFIG_MISSING),$(if $(MAKE_RESTARTS),,FORCE))
	@CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' SAN='$(SAN)' SWITCH='$(SWITCH)' HTTP_PARSER='$(HTTP_PARSER)' \
	 CFLAGS='$(strip $(CPPFLAGS) $(CFLAGS) $(san-flags))' LDFLAGS='$(LDFLAGS)' \
		scripts/configure.sh $(O)

$(O)/config.h: $(O)/config.mk
	@:

# ---------------------------------------------------------------- commands

squote := '
escape = $(subst $(squote),'\$(squote)',$(1))
differ = $(subst x$(1),,x$(2))$(subst x$(2),,x$(1))
say = $(if $(quiet),printf '  %-7s %s\n' $(1) '$(patsubst $(O)/%,%,$@)';)

# $(call run,cc): run $(cmd-cc), shown as CC, if it has to be run.
run = $(if $(filter-out FORCE,$?)$(call differ,$(strip $(cmd-$(1))),$(strip $(file <$@.cmd))),$(call run-now,$(1)))
define run-now
@mkdir -p $(@D)
$(check-$(1))
@$(call say,$(shown-$(1)))
$(Q)$(cmd-$(1))
@printf '%s\n' '$(call escape,$(strip $(cmd-$(1))))' >$@.cmd
endef

shown-cc := CC
cmd-cc = $(CC) $(bp-cppflags) $(bp-cflags) $(dir-ccflags) $(CPPFLAGS) $(CFLAGS) $(san-flags) \
	-MMD -MP -MF $@.d -c -o $@ $<

shown-as := AS
cmd-as = $(cmd-cc)

shown-ar := AR
cmd-ar = rm -f $@ && $(AR) qcsD $@ $(filter %.o,$^)

# Hidden names are hidden in the archive too: a program may have a timer_add() of its own.
shown-local := AR
cmd-local = $(CC) -r -nostdlib -o $@.o $(filter %.o,$^) && \
	$(OBJCOPY) --localize-hidden $@.o $(@D)/batchproc.o && \
	rm -f $@.o $@ && $(AR) rcsD $@ $(@D)/batchproc.o

shown-so := LD
cmd-so = $(CC) -shared -pthread $(CFLAGS) $(san-flags) $(LDFLAGS) $(if $(SAN),,-Wl,-z,defs) \
	-Wl,-soname,$(dir-soname) -Wl,--version-script=$(filter %.map,$^) -o $@ $(filter %.o,$^) \
	$(dir-ldlibs)

shown-ld := LD
cmd-ld = $(CC) -pthread $(CFLAGS) $(san-flags) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(dir-ldlibs)

shown-ldso := LD
cmd-ldso = $(CC) -pthread $(CFLAGS) $(san-flags) $(LDFLAGS) -o $@ $(filter %.o %.so,$^) \
	-Wl,-rpath,$(abspath $(O)/lib) $(dir-ldlibs)

# What is loaded when it is called.
shown-lazy := GEN
cmd-lazy = CC='$(CC)' NM='$(NM)' READELF='$(READELF)' CFLAGS='$(strip $(CPPFLAGS) $(CFLAGS))' SAN='$(SAN)' \
	LAZY='$(LAZY)' scripts/lazy.sh $(filter %.o,$^) >$@.new && \
	if cmp -s $@.new $@; then rm $@.new; touch $@; else mv $@.new $@; fi

shown-gen := GEN
cmd-gen = sed -e 's|@VERSION@|$(VERSION)|g' -e 's|@prefix@|$(prefix)|g' \
	-e 's|@libdir@|$(libdir)|g' -e 's|@includedir@|$(includedir)|g' $< >$@

# A program that a document shows; $< is the document.
shown-shown := GEN
cmd-shown = scripts/readme-example.sh $< $(basename $(@F)) >$@

# C=1 looks at each source before it is compiled.
ifeq ($(C),1)
CHECK ?= $(CPPCHECK) --quiet --error-exitcode=1 --std=c11 --inline-suppr \
	--enable=warning$(comma)performance$(comma)portability \
	--suppressions-list=scripts/cppcheck.txt -Ilib -D_GNU_SOURCE -D__x86_64__
check-cc = @$(if $(quiet),printf '  %-7s %s\n' CHECK $<;) $(CHECK) $<
endif

# ---------------------------------------------------------------- directories

# The public headers alone, for all that stands outside lib/.
public-header := $(O)/include/batchproc.h
public-headers := $(public-header) $(O)/include/batchproc_sim.h
$(public-headers): $(O)/include/%: lib/%
	@mkdir -p $(@D)
	@ln -sf $(abspath $<) $@

# libbatchproc-whole.a keeps the names that the library hides, for the tests.
libbatchproc := $(O)/lib/libbatchproc

dir-vars := subdir-y lib-y obj-y prog-y test-y helper-y example-y common-y need-y ccflags-y ldlibs-y
all-objs :=
all-progs :=
all-tests :=
all-helpers :=
all-examples :=

define enter
$(foreach v,$(dir-vars),$(eval $(v) :=))
$(eval dir := $(1))
$(eval include $(1)/Makefile)
$(eval subdirs := $(addprefix $(1)/,$(subdir-y)))
$(leave)
$(foreach d,$(subdirs),$(call enter,$(d)))
endef

objs-of = $(addprefix $(O)/$(dir)/,$(or $($(1)-objs),$(1).o) $(common-y))
missing-text = $(foreach n,$(filter-out $(CONFIG_FOUND),$(1)),$(CONFIG_NAME_$(n)) is missing;) run: make deps

define leave
$(eval progs := $(addprefix $(O)/,$(prog-y)))
$(eval tests := $(addprefix $(O)/$(dir)/,$(test-y)))
$(eval helpers := $(addprefix $(O)/$(dir)/,$(helper-y)))
$(eval examples := $(addprefix $(O)/$(dir)/,$(example-y)))
$(eval objs := $(sort $(addprefix $(O)/$(dir)/,$(obj-y)) $(foreach p,$(prog-y) $(test-y) $(example-y),$(call objs-of,$(p))) \
	$(addprefix $(O)/$(dir)/,$(foreach p,$(helper-y),$($(p)-objs)))))
$(eval all-objs += $(objs))
$(eval all-progs += $(progs))
$(eval all-tests += $(tests))
$(eval all-helpers += $(helpers))
$(eval all-examples += $(examples))
$(foreach n,$(example-y),$(eval args-$(O)/$(dir)/$(n) := $($(n)-args)))
$(if $(objs),$(eval $(objs-rules)))
$(if $(lib-y),$(eval $(lib-rules)))
$(foreach p,$(prog-y),$(eval $(call link-rule,$(O)/$(p),$(p),ld,$(libbatchproc).a)))
$(foreach p,$(test-y),$(eval $(call link-rule,$(O)/$(dir)/$(p),$(p),ld,$(libbatchproc)-whole.a)))
$(foreach p,$(helper-y),$(eval $(call helper-rule,$(O)/$(dir)/$(p),$(p))))
$(foreach p,$(example-y),$(eval $(call link-rule,$(O)/$(dir)/$(p),$(p),ldso,$(libbatchproc).so)))
endef

define objs-rules
$(objs): private dir-ccflags := $(ccflags-y)
$(objs): | $(O)/config.h $(public-headers) $(if $(filter-out $(CONFIG_FOUND),$(need-y)),missing/$(dir))
missing/$(dir): ; $$(error $(call missing-text,$(need-y)))
endef

define link-rule
$(1): private dir-ldlibs := $(ldlibs-y) $($(2)-libs)
$(1): $(call objs-of,$(2)) $(addprefix $(O)/,$($(2)-also)) $(4) FORCE
	$$(call run,$(3))
endef

define helper-rule
$(1): private dir-ldlibs := $($(2)-libs)
$(1): $(addprefix $(O)/$(dir)/,$($(2)-objs)) FORCE
	$$(call run,ld)
endef

define lib-rules
lib-file := $(O)/$(dir)/lib$(lib-y)
$$(lib-file).a: $(objs) FORCE
	$$(call run,local)
$$(lib-file)-whole.a: $(objs) FORCE
	$$(call run,ar)
$$(lib-file).so.$(VERSION): private dir-ldlibs := $(ldlibs-y)
$$(lib-file).so.$(VERSION): private dir-soname := lib$(lib-y).so.$(VERSION_MAJOR)
$$(lib-file).so.$(VERSION): $(objs) $(dir)/$(lib-y).map FORCE
	$$(call run,so)
$$(lib-file).so.$(VERSION_MAJOR): $$(lib-file).so.$(VERSION)
	@ln -sf $$(<F) $$@
$$(lib-file).so: $$(lib-file).so.$(VERSION_MAJOR)
	@ln -sf $$(<F) $$@
endef

$(O)/%.o: %.c FORCE
	$(call run,cc)

$(O)/%.o: $(O)/%.c FORCE
	$(call run,cc)

$(O)/%.o: %.S FORCE
	$(call run,as)

$(foreach d,lib tools tests docs,$(call enter,$(d)))

-include $(all-objs:=.d)

.PHONY: FORCE
FORCE:
