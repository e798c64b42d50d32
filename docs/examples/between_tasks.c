/* SPDX-License-Identifier: MIT */
/*
 * between_tasks.c - a pipeline: producers, a channel, workers that share a few licences and one file
 *
 * The channel has room for eight jobs, so the producers never run far ahead. Of the five workers two
 * may be in the expensive part at a time: a semaphore. Each writes its lines to one file under a
 * mutex that it holds across the writes, so that lines stay together. An event tells all when to begin.
 */
#include "example.h"

#define PRODUCERS 3
#define JOBS 20 /* of each */
#define WORKERS 5

struct pipeline {
	struct bp_event begin;
	struct bp_channel jobs;
	struct bp_semaphore licences;
	struct bp_mutex file;
	int room[8];
	int fd, in_use, most, done;
};

struct producer {
	struct pipeline *p;
	int first;
};

static int produce(void *arg)
{
	struct producer *self = arg;
	int i, err = bp_event_wait(&self->p->begin);

	for (i = 0; i < JOBS && !err; i++) {
		int job = self->first + i;

		err = bp_channel_send(&self->p->jobs, &job);
	}
	return err;
}

static int write_lines(struct pipeline *p, int job)
{
	char line[32];
	ssize_t n = 0;
	int i, err = bp_mutex_lock(&p->file);

	if (err)
		return err;
	for (i = 0; i < 2 && n >= 0; i++) {
		int len = snprintf(line, sizeof(line), "job %d, line %d\n", job, i);

		n = bp_write(p->fd, line, (size_t)len, -1);
	}
	bp_mutex_unlock(&p->file);
	return n < 0 ? (int)n : 0;
}

static int work(void *arg)
{
	struct pipeline *p = arg;
	int job, err;

	while (!(err = bp_channel_recv(&p->jobs, &job))) {
		err = bp_semaphore_acquire(&p->licences, 1);
		if (err)
			return err;
		if (++p->in_use > p->most)
			p->most = p->in_use;
		err = bp_sleep(MS / 10);
		p->in_use--;
		bp_semaphore_release(&p->licences, 1);
		if (!err)
			err = write_lines(p, job);
		if (err)
			return err;
		p->done++;
	}
	return err == -EPIPE ? 0 : err; /* closed and empty: that is the end */
}

int main(void)
{
	struct producer producer[PRODUCERS];
	struct bp_group *producers, *workers;
	char line[2][32], path[] = "/tmp/batchproc-between.XXXXXX";
	struct bp_engine *engine;
	struct pipeline p;
	FILE *file;
	int i, lines = 0;

	memset(&p, 0, sizeof(p));
	p.fd = mkstemp(path);
	CHECK(p.fd >= 0);
	CHECK(!bp_engine_create(&engine, NULL));
	bp_event_init(&p.begin, engine);
	bp_semaphore_init(&p.licences, engine, 2);
	bp_mutex_init(&p.file, engine);
	CHECK(!bp_channel_init(&p.jobs, engine, p.room, sizeof(p.room[0]), 8));

	CHECK(!bp_group_create(&producers, engine, NULL));
	CHECK(!bp_group_create(&workers, engine, NULL));
	for (i = 0; i < WORKERS; i++)
		CHECK(!bp_go(workers, work, &p));
	for (i = 0; i < PRODUCERS; i++) {
		producer[i].p = &p;
		producer[i].first = i * JOBS;
		CHECK(!bp_go(producers, produce, &producer[i]));
	}
	bp_event_set(&p.begin);
	CHECK(!bp_wait(producers));
	bp_channel_close(&p.jobs);
	CHECK(!bp_wait(workers));

	file = fopen(path, "r");
	CHECK(file);
	while (fgets(line[lines % 2], sizeof(line[0]), file))
		if (++lines % 2 == 0)
			CHECK(atoi(line[0] + 4) == atoi(line[1] + 4));
	fclose(file);
	printf("%d jobs in %d lines, %d at a time\n", p.done, lines, p.most);
	CHECK(p.done == PRODUCERS * JOBS && lines == 2 * p.done && p.most == 2);
	close(p.fd);
	unlink(path);
	bp_group_destroy(producers);
	bp_group_destroy(workers);
	bp_engine_destroy(engine);
	return 0;
}
