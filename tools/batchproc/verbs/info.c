/* SPDX-License-Identifier: MIT */
/*
 * info: which backend and kernel features this machine offers, its limits, and why.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "batchproc.h"
#include "base/buf.h"
#include "cli/options.h"
#include "base/message.h"
#include "base/status.h"
#include "verb.h"

struct flag {
	unsigned int bit;
	const char *name;
};

/* By number, since some are newer than the headers of liburing 2.3. */
static const struct flag setup_flags[] = {
	{1u << 0, "iopoll"},
	{1u << 1, "sqpoll"},
	{1u << 2, "sq_aff"},
	{1u << 3, "cqsize"},
	{1u << 4, "clamp"},
	{1u << 5, "attach_wq"},
	{1u << 6, "r_disabled"},
	{1u << 7, "submit_all"},
	{1u << 8, "coop_taskrun"},
	{1u << 9, "taskrun_flag"},
	{1u << 10, "sqe128"},
	{1u << 11, "cqe32"},
	{1u << 12, "single_issuer"},
	{1u << 13, "defer_taskrun"},
	{1u << 14, "no_mmap"},
	{1u << 15, "registered_fd_only"},
	{1u << 16, "no_sqarray"},
	{1u << 17, "hybrid_iopoll"},
	{1u << 18, "cqe_mixed"},
	{1u << 19, "sqe_mixed"},
	{0, NULL},
};

static const struct flag feature_flags[] = {
	{1u << 0, "single_mmap"},
	{1u << 1, "nodrop"},
	{1u << 2, "submit_stable"},
	{1u << 3, "rw_cur_pos"},
	{1u << 4, "cur_personality"},
	{1u << 5, "fast_poll"},
	{1u << 6, "poll_32bits"},
	{1u << 7, "sqpoll_nonfixed"},
	{1u << 8, "ext_arg"},
	{1u << 9, "native_workers"},
	{1u << 10, "rsrc_tags"},
	{1u << 11, "cqe_skip"},
	{1u << 12, "linked_file"},
	{1u << 13, "reg_reg_ring"},
	{1u << 14, "recvsend_bundle"},
	{1u << 15, "min_timeout"},
	{1u << 16, "rw_attr"},
	{1u << 17, "no_iowait"},
	{0, NULL},
};

/* A line for people, or a field for --json. */
struct out {
	struct buf buf;
	bool json;
};

static void add_name(struct out *out, const char *name)
{
	if (out->json) {
		buf_str(&out->buf, ",\"");
		buf_str(&out->buf, name);
		buf_str(&out->buf, "\":");
		return;
	}
	for (const char *c = name; *c; c++)
		buf_char(&out->buf, *c == '_' ? ' ' : *c);
	buf_printf(&out->buf, "%*s", (int)(20 - strlen(name)), "");
}

static void add_end(struct out *out)
{
	if (!out->json)
		buf_char(&out->buf, '\n');
}

static void add_text(struct out *out, const char *name, const char *text)
{
	add_name(out, name);
	if (out->json)
		buf_json(&out->buf, text, strlen(text));
	else
		buf_str(&out->buf, text);
	add_end(out);
}

static void add_number(struct out *out, const char *name, uint64_t number)
{
	add_name(out, name);
	buf_u64(&out->buf, number);
	add_end(out);
}

static void add_flags(struct out *out, const char *name, unsigned int bits,
		      const struct flag *flags)
{
	const char *between = "";

	add_name(out, name);
	if (out->json)
		buf_char(&out->buf, '[');
	for (; flags->name; flags++) {
		if (!(bits & flags->bit))
			continue;
		buf_str(&out->buf, between);
		buf_printf(&out->buf, out->json ? "\"%s\"" : "%s", flags->name);
		between = out->json ? "," : " ";
	}
	if (out->json)
		buf_char(&out->buf, ']');
	add_end(out);
}

static void add_limit(struct out *out, const char *name, int resource)
{
	struct rlimit limit;
	const rlim_t *values[] = {&limit.rlim_cur, &limit.rlim_max};
	static const char *const before[] = {"{\"soft\":", ",\"hard\":"};

	if (getrlimit(resource, &limit))
		return;
	add_name(out, name);
	for (int i = 0; i < 2; i++) {
		buf_str(&out->buf, out->json ? before[i] : i ? " of " : "");
		if (*values[i] == RLIM_INFINITY)
			buf_str(&out->buf, out->json ? "null" : "unlimited");
		else
			buf_u64(&out->buf, *values[i]);
	}
	if (out->json)
		buf_char(&out->buf, '}');
	add_end(out);
}

/* kernel.io_uring_disabled, which kernels before 6.6 do not have. */
static void add_sysctl(struct out *out)
{
	static const char *const meaning[] = {"0 (allowed)", "1 (only for a group and root)",
					      "2 (forbidden)"};
	FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
	char text[16] = "";
	bool known;

	if (file && !fgets(text, sizeof(text), file))
		text[0] = '\0';
	if (file)
		fclose(file);
	known = text[0] >= '0' && text[0] <= '2' && (!text[1] || text[1] == '\n');
	add_name(out, "io_uring_disabled");
	if (!known)
		buf_str(&out->buf, out->json ? "null" : "not known to this kernel");
	else if (out->json)
		buf_char(&out->buf, text[0]);
	else
		buf_str(&out->buf, meaning[text[0] - '0']);
	add_end(out);
}

static void add_engine(struct out *out, const struct bp_engine_info *info)
{
	add_text(out, "backend", info->backend_name);
	add_text(out, "reason", info->reason);
	add_number(out, "loops", info->loops);
	add_number(out, "depth", info->depth);
	add_text(out, "stack_guard", info->stack_guard);
	if (info->backend != BP_BACKEND_URING)
		return;
	add_number(out, "sq_entries", info->sq_entries);
	add_number(out, "cq_entries", info->cq_entries);
	add_flags(out, "setup_flags", info->setup_flags, setup_flags);
	add_flags(out, "features", info->features, feature_flags);
	add_number(out, "highest_opcode", info->opcodes);
}

static int info_run(const struct options *options)
{
	struct out out = {.json = options->json};
	struct bp_engine *engine;
	struct utsname uts;
	int status, err;

	if (options->arg_count)
		return usage_error(options->verb, "takes no items");
	err = bp_engine_create(&engine, &BP_ENGINE_OPTS(.backend = options->backend,
							.loops = options->loops));
	if (out.json)
		buf_str(&out.buf, "{\"v\":1");
	add_text(&out, "version", bp_version());
	if (!uname(&uts)) {
		add_text(&out, "kernel", uts.release);
		add_text(&out, "machine", uts.machine);
	}
	if (err) {
		add_text(&out, "backend", "none");
		add_text(&out, "reason", bp_engine_error());
	} else {
		add_engine(&out, bp_engine_info(engine));
	}
	add_sysctl(&out);
	add_limit(&out, "open_files", RLIMIT_NOFILE);
	add_limit(&out, "locked_memory", RLIMIT_MEMLOCK);
	if (out.json)
		buf_str(&out.buf, "}\n");
	bp_engine_destroy(engine);

	fwrite(out.buf.data, 1, out.buf.len, stdout);
	status = flush_stdout();
	buf_free(&out.buf);
	/* Without any backend nothing else of this program can work. */
	return status ? status : err ? EXIT_SOME_FAILED : EXIT_OK;
}

const struct verb info_verb = {
	.name = "info",
	.synopsis = "[options]",
	.summary = "Which backend and kernel features this machine offers, its limits, and why",
	.takes = TAKES_ENGINE | TAKES_JSON,
	.run = info_run,
};
