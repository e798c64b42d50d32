/* SPDX-License-Identifier: MIT */
/*
 * cxx.cc - what batchproc.hpp promises; run by test_cxx.sh, for each backend and number of loops
 */
#include <batchproc.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#define CHECK(claim)                                                                               \
	do {                                                                                       \
		if (!(claim)) {                                                                    \
			std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim);   \
			std::exit(1);                                                              \
		}                                                                                  \
	} while (0)

namespace
{

using std::chrono::hours;
using std::chrono::milliseconds;

/* Counts the function objects that live, so that none is lost. */
struct counted {
	static std::atomic<int> alive;
	counted()
	{
		alive++;
	}
	counted(const counted &)
	{
		alive++;
	}
	~counted()
	{
		alive--;
	}
};
std::atomic<int> counted::alive{0};

void lambdas_are_tasks(bp::engine &engine)
{
	std::atomic<int> sum{0};
	bp::group group(engine, bp::limit(3));

	for (int i = 1; i <= 100; i++)
		CHECK(group.go([i, &sum] {
			bp_yield();
			sum += i;
		}));
	CHECK(group.wait() == 0);
	CHECK(sum == 5050);
	CHECK(group.stats().succeeded == 100);
}

void what_is_moved_into_a_task_lives_as_long(bp::engine &engine)
{
	counted one;
	bp::group group(engine, bp::limit(1));
	std::unique_ptr<std::string> text(new std::string("text"));
	struct owner {
		std::unique_ptr<std::string> text;
		counted c;
		int operator()()
		{
			return text && *text == "text" ? 7 : -EIO;
		}
	};

	for (int i = 0; i < 10; i++)
		group.go([one] { bp_yield(); });
	group.go(owner{std::move(text), one});
	CHECK(group.wait() == 0);
	CHECK(counted::alive == 1);
}

void results_are_failures(bp::engine &engine)
{
	bp::group group(engine);

	group.go([]() -> long { return -ENOSPC; });
	CHECK(group.wait() == -ENOSPC);
}

void the_first_exception_is_thrown_again(bp::engine &engine)
{
	counted one;
	std::string caught;
	bp::group group(engine);
	std::atomic<int> cancelled{0};

	for (int i = 0; i < 20; i++)
		group.go([&cancelled, one] {
			try {
				bp::check(bp::sleep_for(hours(1)));
			} catch (const std::system_error &e) {
				cancelled += e.code().value() == ECANCELED;
				throw;
			}
		});
	group.go([one] {
		bp_yield();
		throw std::runtime_error("the first");
	});
	try {
		group.wait();
	} catch (const std::runtime_error &e) {
		caught = e.what();
	}
	CHECK(caught == "the first");
	CHECK(cancelled + (int)group.stats().never_started == 20);
	CHECK(group.stats().failed == 1);
	CHECK(counted::alive == 1);
}

void errno_is_kept(bp::engine &engine)
{
	bp::group group(engine);
	int code = 0;

	group.go([] { bp::check(bp_openat(AT_FDCWD, "/nosuch/file", O_RDONLY, 0), "open"); });
	try {
		group.wait();
	} catch (const std::system_error &e) {
		code = e.code().value();
	}
	CHECK(code == ENOENT);
	/* The cause is the errno too, for those who ask in C. */
	CHECK(bp_wait(group.get()) == -ENOENT);
}

void wait_for_all_counts_exceptions(bp::engine &engine)
{
	bp_group_opts opts = bp::limit(2);
	int thrown = 0;

	opts.stop_after_failures = 0;
	bp::group group(engine, opts);
	for (int i = 0; i < 50; i++)
		group.go([i] {
			if (i % 5 == 0)
				throw i;
			bp_yield();
		});
	try {
		group.wait();
	} catch (int) {
		thrown = 1;
	}
	CHECK(thrown);
	CHECK(group.stats().failed == 10);
	CHECK(group.stats().succeeded == 40);
}

void a_scope_ends_what_runs(bp::engine &engine)
{
	counted one;
	std::atomic<int> ended{0};

	{
		bp::group group(engine, bp::limit(5));

		for (int i = 0; i < 5; i++)
			group.go([&ended, one] { ended += bp::sleep_for(hours(1)) == -ECANCELED; });
		CHECK(!group.try_go([one] {}));
		bp_wait_until(group.get(), engine.now() + 1000000);
	}
	CHECK(ended + 0 <= 5);
	CHECK(counted::alive == 1);
}

void a_cancelled_group_takes_nothing(bp::engine &engine)
{
	counted one;
	bp::group group(engine);

	group.go([one] { bp::check(bp::sleep_for(hours(1))); });
	group.cancel(-EPIPE);
	CHECK(!group.go([one] {}));
	CHECK(!group.try_go([one] {}));
	/* The cancel's echo in the task is no exception of its own. */
	CHECK(group.wait() == -EPIPE);
	CHECK(counted::alive == 1);
}

void groups_nest_in_tasks(bp::engine &engine)
{
	bp::group outer(engine);
	std::string caught;

	outer.go([&] {
		bp::group inner(engine, outer);

		for (int i = 0; i < 3; i++)
			inner.go([] { bp_yield(); });
		inner.go([] { throw std::logic_error("inner"); });
		inner.wait();
	});
	try {
		outer.wait();
	} catch (const std::logic_error &e) {
		caught = e.what();
	}
	CHECK(caught == "inner");
}

void scopes_are_scopes(bp::engine &engine)
{
	bp::group group(engine);

	group.go([] {
		bp::timeout outer(hours(1));
		{
			bp::timeout scope(milliseconds(1));
			CHECK(bp::sleep_for(hours(1)) == -ETIMEDOUT);
			CHECK(scope.end());
		}
		try {
			bp::timeout scope(milliseconds(1));
			bp::check(bp::sleep_for(hours(1)));
			CHECK(false);
		} catch (const std::system_error &e) {
			CHECK(e.code().value() == ETIMEDOUT);
		}
		CHECK(bp_yield() == 0);
	});
	CHECK(group.wait() == 0);
}

void shields_are_scopes(bp::engine &engine)
{
	bp::group group(engine);

	group.go([&group] {
		group.cancel(-EIO);
		CHECK(bp_yield() == -ECANCELED);
		{
			bp::shield shield;
			CHECK(bp_yield() == 0);
		}
		CHECK(bp_yield() == -ECANCELED);
	});
	CHECK(group.wait() == -EIO);
}

void offloaded_exceptions_come_back(bp::engine &engine)
{
	bp::group group(engine);

	group.go([] {
		bool thrown = false;

		CHECK(bp::offload([] { return 5; }) == 5);
		try {
			bp::offload([]() -> int { throw std::out_of_range("helper"); });
		} catch (const std::out_of_range &) {
			thrown = true;
		}
		CHECK(thrown);
		CHECK(bp_yield() == 0);
	});
	CHECK(group.wait() == 0);
}

void descriptors_close(bp::engine &engine)
{
	bp::group group(engine);
	int number = -1;

	group.go([&number] {
		bp::descriptor fd(bp_openat(AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC, 0));
		bp::descriptor other(std::move(fd));
		char byte;

		CHECK(fd.get() == -1);
		number = other.get();
		CHECK(bp_read(number, &byte, 1, 0) == 1);
	});
	CHECK(group.wait() == 0);
	CHECK(fcntl(number, F_GETFD) == -1);
	try {
		bp::descriptor none(-ENOENT);
		CHECK(false);
	} catch (const std::system_error &e) {
		CHECK(e.code().value() == ENOENT);
	}
}

int squares(void *arg, void *result)
{
	*static_cast<int *>(result) = *static_cast<int *>(arg) * *static_cast<int *>(arg);
	return bp_yield();
}

void notes(void *ctx, void *, bp_end, int, void *result)
{
	static_cast<std::vector<int> *>(ctx)->push_back(*static_cast<int *>(result));
}

/* The collector is used as it is. */
void results_in_order(bp::engine &engine)
{
	bp_ordered_opts opts = bp_ordered_opts_default();
	std::vector<int> input, output;
	bp_ordered *ordered;

	opts.result_size = sizeof(int);
	opts.deliver = notes;
	opts.deliver_arg = &output;
	bp::check(bp_ordered_create(&ordered, engine.get(), &opts));
	for (int i = 0; i < 100; i++)
		input.push_back(i);
	for (int &i : input)
		bp::check(bp_ordered_go(ordered, squares, &i));
	bp::check(bp_wait(bp_ordered_group(ordered)));
	bp_ordered_destroy(ordered);
	CHECK(output.size() == 100 && output[99] == 99 * 99);
}

void refusals_are_exceptions()
{
	bp_engine_opts opts = bp_engine_opts_default();

	opts.depth = BP_DEPTH_MAX + 1;
	try {
		bp::engine engine(opts);
		CHECK(false);
	} catch (const std::system_error &e) {
		CHECK(e.code().value() == EINVAL);
	}
}

void on(bp_backend backend, unsigned int loops)
{
	bp_engine_opts opts = bp::loops(loops);

	opts.backend = backend;
	bp::engine engine(opts);
	CHECK(engine.info().backend == backend || backend == BP_BACKEND_AUTO);
	lambdas_are_tasks(engine);
	what_is_moved_into_a_task_lives_as_long(engine);
	results_are_failures(engine);
	the_first_exception_is_thrown_again(engine);
	errno_is_kept(engine);
	wait_for_all_counts_exceptions(engine);
	a_scope_ends_what_runs(engine);
	a_cancelled_group_takes_nothing(engine);
	groups_nest_in_tasks(engine);
	scopes_are_scopes(engine);
	shields_are_scopes(engine);
	offloaded_exceptions_come_back(engine);
	descriptors_close(engine);
	results_in_order(engine);
}

} /* namespace */

int main()
{
	refusals_are_exceptions();
	on(BP_BACKEND_AUTO, 0);
	on(BP_BACKEND_AUTO, 2);
	on(BP_BACKEND_THREADS, 0);
	on(BP_BACKEND_THREADS, 2);
	return 0;
}
