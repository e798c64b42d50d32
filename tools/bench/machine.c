/* SPDX-License-Identifier: MIT */
/*
 * machine.c - on what it was measured, and with which programs
 */
#define _GNU_SOURCE
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

bool has_program(const char *name)
{
	char command[128];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", name);
	return !system(command);
}

/* The value of the first line of a file in /proc that begins with @key, or "". */
static void look_up(const char *file, const char *key, char *value, size_t size)
{
	FILE *f = fopen(file, "r");
	char line[256];

	value[0] = '\0';
	while (f && !value[0] && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		if (!colon || strncmp(line, key, strlen(key)))
			continue;
		colon += 1 + strspn(colon + 1, " \t");
		colon[strcspn(colon, "\n")] = '\0';
		snprintf(value, size, "%s", colon);
	}
	if (f)
		fclose(f);
}

struct json_t *machine_describe(const struct bench *b)
{
	const char *place = find_place(b);
	struct utsname machine;
	char cpu[128], memory[64];

	uname(&machine);
	look_up("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
	look_up("/proc/meminfo", "MemTotal", memory, sizeof(memory));
	return json_pack("{s:s,s:s,s:s,s:i,s:I,s:s,s:f}", "kernel", machine.release, "machine",
			 machine.machine, "cpu", cpu[0] ? cpu : "unknown", "cores",
			 (int)sysconf(_SC_NPROCESSORS_ONLN), "memory_kib",
			 (json_int_t)strtoll(memory, NULL, 10), "filesystem",
			 place ? fs_name(place) : "none", "load", b->load);
}

/* The first line of what a command prints; one that hangs has none. */
static json_t *first_line(const char *ask)
{
	char command[4096 + 64], line[160] = "";
	FILE *f;
	bool read;

	snprintf(command, sizeof(command), "timeout -k 1 5 %s", ask);
	f = popen(command, "r");
	read = f && fgets(line, sizeof(line), f);

	/* What is left would end it by a signal. */
	while (f && fgetc(f) != EOF)
		;
	if (f)
		pclose(f);
	line[strcspn(line, "\n")] = '\0';
	return read && line[0] ? json_string(line) : NULL;
}

/* A peer's name, and what asks it for its version. */
static const struct {
	const char *name, *ask;
} peers[] = {
	{"b3sum", "b3sum --version"},
	{"cp", "cp --version"},
	{"curl", "curl --version"},
	{"find", "find --version"},
	{"fio", "fio --version"},
	{"go", "go version"},
	{"nc", "nc -h 2>&1"},
	{"nginx", "nginx -v 2>&1"},
	{"openssl", "openssl version"},
	{"rsync", "rsync --version"},
	{"sha256sum", "sha256sum --version"},
	{"wget2", "wget2 --version"},
	{"wrk", "wrk -v 2>&1"},
	{"xargs", "xargs --version"},
	{"xxhsum", "xxhsum --version 2>&1"},
};

struct json_t *machine_programs(const struct bench *b)
{
	static json_t *programs;
	char command[4096 + 32];
	size_t i;

	if (programs)
		return json_incref(programs);
	programs = json_object();

	snprintf(command, sizeof(command), "'%s' --version", b->batchproc);
	json_object_set_new(programs, "batchproc", first_line(command));
	for (i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		if (has_program(peers[i].name))
			json_object_set_new(programs, peers[i].name, first_line(peers[i].ask));
	}
	return json_incref(programs);
}
