/* SPDX-License-Identifier: MIT */
/*
 * ordered.c - results in the order of input, in bounded memory, while the work is done in any order
 *
 * A thousand lines are "looked up", each of which takes another time; they are printed in the order
 * in which they were asked for. At most 16 results are kept or worked on at a time.
 */
#include "example.h"

#define LINES 1000
#define WINDOW 16

struct answer {
	char text[24];
};

struct sink {
	int next, working, most;
	size_t bytes;
};

static struct sink sink;

static int look_up(void *arg, void *result)
{
	struct answer *answer = result;
	int number = *(int *)arg, err;

	if (++sink.working > sink.most)
		sink.most = sink.working;
	err = bp_sleep((uint64_t)(number * 7919 % 50) * 10000);
	snprintf(answer->text, sizeof(answer->text), "line %d\n", number);
	sink.working--;
	return err;
}

static void print(void *ctx, void *arg, enum bp_end end, int res, void *result)
{
	const struct answer *answer = result;

	(void)ctx;
	CHECK(end == BP_END_SUCCEEDED && res == 0);
	CHECK(*(int *)arg == sink.next && atoi(answer->text + 5) == sink.next);
	sink.next++;
	sink.bytes += strlen(answer->text);
}

int main(void)
{
	struct bp_ordered *ordered;
	struct bp_engine *engine;
	int number[LINES], i;

	CHECK(!bp_engine_create(&engine, NULL));
	CHECK(!bp_ordered_create(&ordered, engine,
				 &BP_ORDERED_OPTS(.window = WINDOW,
						  .result_size = sizeof(struct answer),
						  .deliver = print)));
	for (i = 0; i < LINES; i++) {
		number[i] = i;
		CHECK(!bp_ordered_go(ordered, look_up, &number[i]));
	}
	CHECK(!bp_wait(bp_ordered_group(ordered)));
	printf("%d lines, %zu bytes, in order; %d at a time\n", sink.next, sink.bytes, sink.most);
	CHECK(sink.next == LINES && sink.most > 1 && sink.most <= WINDOW);
	bp_ordered_destroy(ordered);
	bp_engine_destroy(engine);
	return 0;
}
