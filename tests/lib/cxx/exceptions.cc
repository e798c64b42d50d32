/* SPDX-License-Identifier: MIT */
/*
 * Exceptions of C++ in tasks: each has its own, whatever others throw and catch while it is suspended.
 * Argument: uring, threads or sim. Exit status 0: as it must be; 77: this backend is not here.
 */
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#include <batchproc.h>

static int failures;

#define EXPECT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);     \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

struct thrower {
	int id, rounds;
};

/* Suspends inside catch, where the others are inside theirs, and throws its own one on. */
static int throws_again(void *arg)
{
	const thrower *t = static_cast<thrower *>(arg);
	std::string mine = "task " + std::to_string(t->id);

	for (int i = 0; i < t->rounds; i++) {
		try {
			try {
				throw std::runtime_error(mine);
			} catch (const std::exception &) {
				EXPECT(bp_yield() == 0);
				if (t->id % 3 == 0)
					EXPECT(bp_sleep(1000) == 0);
				throw;
			}
		} catch (const std::runtime_error &e) {
			EXPECT(bp_yield() == 0);
			EXPECT(mine == e.what());
		}
		EXPECT(!std::current_exception());
	}
	return 0;
}

struct waits_when_it_goes {
	int *left;

	~waits_when_it_goes()
	{
		EXPECT(std::uncaught_exception());
		EXPECT(bp_yield() == 0);
		EXPECT(std::uncaught_exception());
		--*left;
	}
};

/* Suspends in a destructor, while an exception is on its way. */
static int unwinds_slowly(void *)
{
	int left = 2;

	EXPECT(!std::uncaught_exception());
	try {
		waits_when_it_goes outer{&left};
		waits_when_it_goes inner{&left};

		throw 7;
	} catch (int seven) {
		EXPECT(seven == 7);
	}
	EXPECT(left == 0);
	EXPECT(!std::uncaught_exception());
	return 0;
}

/* Begins while others are in the middle of it, and sees none of theirs. */
static int sees_none(void *)
{
	for (int i = 0; i < 20; i++) {
		EXPECT(!std::current_exception());
		EXPECT(!std::uncaught_exception());
		EXPECT(bp_yield() == 0);
	}
	return 0;
}

static void play(bp_engine *engine)
{
	bp_group_opts opts = bp_group_opts_default();
	thrower throwers[30];
	bp_group *group;

	EXPECT(bp_group_create(&group, engine, &opts) == 0);
	for (int i = 0; i < 30; i++) {
		throwers[i] = thrower{i, 20};
		EXPECT(bp_go(group, throws_again, &throwers[i]) == 0);
		EXPECT(bp_go(group, unwinds_slowly, nullptr) == 0);
		EXPECT(bp_go(group, sees_none, nullptr) == 0);
	}
	EXPECT(bp_wait(group) == 0);
	bp_group_destroy(group);
}

/* What the caller has caught is the caller's, and no task sees it. */
static void play_inside_catch(bp_engine *engine)
{
	try {
		try {
			throw std::logic_error("the caller's");
		} catch (...) {
			play(engine);
			throw;
		}
	} catch (const std::logic_error &e) {
		EXPECT(!std::strcmp(e.what(), "the caller's"));
	}
	EXPECT(!std::current_exception());
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		bp_backend backend;
	} backends[] = {
		{"uring", BP_BACKEND_URING},
		{"threads", BP_BACKEND_THREADS},
		{"sim", BP_BACKEND_SIM},
	};

	for (const auto &b : backends) {
		if (argc < 2 || std::strcmp(argv[1], b.name))
			continue;
		for (unsigned int loops = 0; loops <= 2; loops += 2) {
			bp_engine_opts opts = bp_engine_opts_default();
			bp_engine *engine;

			opts.backend = b.backend;
			opts.loops = loops;
			opts.seed = 7;
			if (bp_engine_create(&engine, &opts))
				return 77;
			play(engine);
			play_inside_catch(engine);
			bp_engine_destroy(engine);
		}
		return failures != 0;
	}
	return 2;
}
