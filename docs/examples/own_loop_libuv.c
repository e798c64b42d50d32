/* SPDX-License-Identifier: MIT */
/*
 * An engine inside libuv's loop: a poll handle and a timer are all that it takes. While tasks sleep, a timer of the
 * program's own goes on, and a thread of libuv's hands over a function that ends the tasks.
 *
 * Skipped, with exit status 77, where the libuv headers are not installed.
 */
#include <stdio.h>

#include <batchproc.h>

#if defined(__has_include)
#if __has_include(<uv.h>)
#define HAVE_LIBUV 1
#endif
#endif

#ifdef HAVE_LIBUV
#include <uv.h>

#define MS 1000000ull

static struct {
	struct bp_engine *engine;
	struct bp_group *group;
	uv_poll_t poll;
	uv_timer_t due, tick;
	uv_work_t work;
	int ticked;
} app;

static void turn(void);

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)poll, (void)status, (void)events;
	turn();
}

static void on_due(uv_timer_t *timer)
{
	(void)timer;
	turn();
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
	app.ticked++;
}

/* Takes a turn, and has libuv come back when the next one is due. */
static void turn(void)
{
	uint64_t wait_ns;
	int alive = bp_engine_turn(app.engine, &wait_ns);

	if (alive <= 0) {
		uv_poll_stop(&app.poll);
		uv_timer_stop(&app.due);
		uv_timer_stop(&app.tick);
	} else if (wait_ns != UINT64_MAX) {
		uv_timer_start(&app.due, on_due, (wait_ns + MS - 1) / MS, 0);
	} else {
		uv_timer_stop(&app.due);
	}
}

static int sleeps_long(void *unused)
{
	(void)unused;
	return bp_sleep(3600 * 1000 * MS);
}

/* In the engine's thread: it may call what a callback may. */
static void enough(void *group)
{
	bp_cancel(group, -ETIMEDOUT);
}

/* In a thread of libuv's, which may call nothing of this engine but bp_post(). */
static void works(uv_work_t *work)
{
	(void)work;
	uv_sleep(50);
	bp_post(app.engine, enough, app.group);
}

static void close_all(uv_handle_t *handle, void *unused)
{
	(void)unused;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

int main(void)
{
	uv_loop_t *loop = uv_default_loop();
	int err = bp_engine_create(&app.engine, NULL);

	if (err) {
		fprintf(stderr, "no engine: %s\n", bp_engine_error());
		return 1;
	}
	err = bp_group_create(&app.group, app.engine, NULL);
	if (err)
		return 1;
	uv_poll_init(loop, &app.poll, bp_engine_fd(app.engine));
	uv_poll_start(&app.poll, UV_READABLE, on_poll);
	uv_timer_init(loop, &app.due);
	uv_timer_init(loop, &app.tick);
	uv_timer_start(&app.tick, on_tick, 5, 5);

	for (int i = 0; i < 100; i++)
		bp_go(app.group, sleeps_long, NULL); /* libuv sees that there is a turn to take */
	uv_queue_work(loop, &app.work, works, NULL);
	uv_run(loop, UV_RUN_DEFAULT);

	err = bp_wait(app.group);
	printf("the tasks were ended with %d; libuv's timer went on: %s\n", err,
	       app.ticked ? "yes" : "no");
	uv_walk(loop, close_all, NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	uv_loop_close(loop);
	bp_group_destroy(app.group);
	bp_engine_destroy(app.engine);
	return err != -ETIMEDOUT || !app.ticked;
}

#else

int main(void)
{
	puts("libuv is not installed");
	return 77;
}

#endif
