/* SPDX-License-Identifier: MIT */
/*
 * batchproc for C++11 and later: groups that end with their scope, lambdas as tasks, exceptions
 *
 *	bp::engine engine;
 *	bp::group group(engine, bp::limit(64));
 *
 *	for (const std::string &path : paths)
 *		group.go([path] {
 *			bp::descriptor fd(bp_openat(AT_FDCWD, path.c_str(), O_RDONLY, 0));
 *			...
 *		});
 *	group.wait();			// throws what the first task that threw has thrown
 *
 * A thin layer over batchproc.h, whose functions are called as they are; the two may be mixed. What a
 * function of the library refuses is a std::system_error here, with the errno as its code.
 *
 * Exceptions. What leaves a task's function is caught at its edge and never crosses from stack to stack: the
 * task has failed, with the errno of a std::system_error, -ENOMEM for std::bad_alloc, else -EIO, so that the
 * group's stop numbers count it. The first one is thrown again by wait(). A std::system_error of ECANCELED in a
 * task whose group was cancelled is no failure but that cancel's echo, and not kept.
 */
#ifndef BATCHPROC_HPP
#define BATCHPROC_HPP

#include <batchproc.h>

#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

#include <errno.h>
#include <unistd.h>

namespace bp
{

/** Throws a std::system_error where @res is -errno. Return: @res. */
template <typename T> T check(T res, const char *what = "batchproc")
{
	if (res < 0)
		throw std::system_error(static_cast<int>(-res), std::generic_category(), what);
	return res;
}

/** Options of a group with a limit, to be changed further. */
inline bp_group_opts limit(long n)
{
	bp_group_opts opts = bp_group_opts_default();

	opts.limit = n;
	return opts;
}

/** Options of an engine with loop threads. */
inline bp_engine_opts loops(unsigned int n)
{
	bp_engine_opts opts = bp_engine_opts_default();

	opts.loops = n;
	return opts;
}

/** An engine, as long as it is in scope; every group of it must be gone before. */
class engine
{
      public:
	explicit engine(const bp_engine_opts &opts = bp_engine_opts_default())
	{
		int err = bp_engine_create(&engine_, &opts);

		if (err)
			throw std::system_error(-err, std::generic_category(), bp_engine_error());
	}
	~engine() { bp_engine_destroy(engine_); }
	engine(const engine &) = delete;
	engine &operator=(const engine &) = delete;

	bp_engine *get() const noexcept { return engine_; }
	uint64_t now() const noexcept { return bp_now(engine_); }
	const struct bp_engine_info &info() const noexcept { return *::bp_engine_info(engine_); }

      private:
	struct bp_engine *engine_ = nullptr;
};

/**
 * A group, whose tasks are function objects. At the end of its scope what still runs is cancelled and
 * waited for. Its items come from go() and try_go() alone, and its report callback is taken.
 */
class group
{
      public:
	explicit group(const engine &e, const bp_group_opts &opts = bp_group_opts_default())
	{
		create(e.get(), opts);
	}
	/** A child of @parent: it ends with it. */
	group(const engine &e, const group &parent,
	      bp_group_opts opts = bp_group_opts_default())
	{
		opts.parent = parent.get();
		create(e.get(), opts);
	}
	~group() { bp_group_destroy(group_); }
	group(const group &) = delete;
	group &operator=(const group &) = delete;

	bp_group *get() const noexcept { return group_; }

	/**
	 * Adds a task, waiting for a place. @fn is copied or moved, and destroyed when the task has ended. It
	 * returns nothing, or an integer: negative failed with that errno.
	 * Return: false: the group was cancelled, and @fn will not run.
	 */
	template <typename F> bool go(F &&fn)
	{
		int err = add(bp_go, std::forward<F>(fn));

		if (err == -ECANCELED)
			return false;
		check(err, "bp_go");
		return true;
	}

	/** Adds a task if there is a place now. Return: whether there was, in a group that goes on. */
	template <typename F> bool try_go(F &&fn)
	{
		int err = add(bp_try_go, std::forward<F>(fn));

		if (err == -ECANCELED || err == -EAGAIN)
			return false;
		check(err, "bp_try_go");
		return true;
	}

	void cancel(int cause = 0) noexcept { bp_cancel(group_, cause); }
	void set_limit(long n) { check(bp_group_set_limit(group_, n), "bp_group_set_limit"); }

	/** Waits for all. Return: as bp_wait(), unless a task threw: then that is thrown. */
	int wait()
	{
		int err = bp_wait(group_);

		throw_again();
		return err;
	}

	/** wait() that gives up at a time of engine::now(). Return: as bp_wait_until(). */
	int wait_until(uint64_t deadline_ns)
	{
		int err = bp_wait_until(group_, deadline_ns);
		struct bp_group_stats st = stats();

		if (st.succeeded + st.failed + st.stopped + st.never_started == st.accepted)
			throw_again();
		return err;
	}

	struct bp_group_stats stats() const noexcept
	{
		struct bp_group_stats st = {};

		st.sz = sizeof(st);
		::bp_group_stats(group_, &st);
		return st;
	}

      private:
	struct task {
		explicit task(group *g) : owner(g) {}
		virtual ~task() {}
		virtual int run() = 0;
		group *owner;
	};

	template <typename F> struct task_of final : task {
		template <typename G>
		task_of(group *g, G &&f) : task(g), fn(std::forward<G>(f))
		{
		}
		int run() override { return call(std::is_void<decltype(fn())>()); }
		int call(std::true_type)
		{
			fn();
			return 0;
		}
		int call(std::false_type)
		{
			static_assert(std::is_integral<decltype(fn())>::value,
				      "a task returns nothing or an integer");
			auto res = fn();

			return res < 0 ? static_cast<int>(res) : 0;
		}
		F fn;
	};

	void create(bp_engine *e, bp_group_opts opts)
	{
		if (opts.report)
			check(-EINVAL, "bp::group: the report callback is taken");
		opts.report = ended;
		check(bp_group_create(&group_, e, &opts), "bp_group_create");
	}

	template <typename Go, typename F> int add(Go how, F &&fn)
	{
		/* It may run and end before the call returns. */
		task *t = new task_of<typename std::decay<F>::type>(this, std::forward<F>(fn));
		int err = how(group_, edge, t);

		if (err)
			delete t;
		return err;
	}

	/** Here a task's stack begins: no exception goes further. */
	static int edge(void *arg) noexcept
	{
		task *t = static_cast<task *>(arg);

		try {
			return t->run();
		} catch (const std::system_error &e) {
			int code = e.code().value();

			if (code == ECANCELED && bp_cancelled())
				return -ECANCELED;
			return t->owner->keep(code > 0 && code < 4096 ? -code : -EIO);
		} catch (const std::bad_alloc &) {
			return t->owner->keep(-ENOMEM);
		} catch (...) {
			return t->owner->keep(-EIO);
		}
	}

	int keep(int err) noexcept
	{
		std::lock_guard<std::mutex> hold(lock_);

		if (!thrown_)
			thrown_ = std::current_exception();
		return err;
	}

	void throw_again()
	{
		std::exception_ptr thrown;

		{
			std::lock_guard<std::mutex> hold(lock_);
			thrown = thrown_;
		}
		if (thrown)
			std::rethrow_exception(thrown);
	}

	/** Each accepted item has exactly one end, also one that never started. */
	static void ended(void *, void *arg, bp_end, int) { delete static_cast<task *>(arg); }

	struct bp_group *group_ = nullptr;
	std::mutex lock_;
	std::exception_ptr thrown_;
};

/**
 * A descriptor that is closed with its scope: at once, with close(2), since a task must not suspend while
 * an exception is under way. bp_close() it with release() where closing may take its time.
 */
class descriptor
{
      public:
	descriptor() noexcept {}
	/** Takes over a descriptor; -errno throws. */
	explicit descriptor(int fd) : fd_(check(fd, "descriptor")) {}
	descriptor(descriptor &&other) noexcept : fd_(other.release()) {}
	descriptor &operator=(descriptor &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	~descriptor()
	{
		if (fd_ >= 0)
			::close(fd_);
	}

	int get() const noexcept { return fd_; }
	int release() noexcept
	{
		int fd = fd_;

		fd_ = -1;
		return fd;
	}

      private:
	int fd_ = -1;
};

/** bp_shield_begin() and bp_shield_end(). In a task. */
class shield
{
      public:
	shield() noexcept { bp_shield_begin(); }
	~shield() { bp_shield_end(); }
	shield(const shield &) = delete;
	shield &operator=(const shield &) = delete;
};

/** bp_timeout_begin() and, with the scope or before, bp_timeout_end(). In a task. */
class timeout
{
      public:
	explicit timeout(std::chrono::nanoseconds time) noexcept
	{
		bp_timeout_begin(&scope_, time.count() > 0 ? static_cast<uint64_t>(time.count()) : 0);
	}
	~timeout()
	{
		if (!over_)
			bp_timeout_end(&scope_);
	}
	timeout(const timeout &) = delete;
	timeout &operator=(const timeout &) = delete;

	/** Ends it. Return: whether its time had run out. */
	bool end() noexcept
	{
		over_ = true;
		return bp_timeout_end(&scope_) != 0;
	}

      private:
	bp_timeout scope_;
	bool over_ = false;
};

/** Suspends the task for a time. Return: as bp_sleep(). */
inline int sleep_for(std::chrono::nanoseconds time) noexcept
{
	return bp_sleep(time.count() > 0 ? static_cast<uint64_t>(time.count()) : 0);
}

/**
 * Runs @fn, which returns an int, on a helper thread while the task is suspended; what it throws is thrown
 * in the task. Return: as bp_offload().
 */
template <typename F> int offload(F &&fn)
{
	struct call {
		typename std::remove_reference<F>::type *fn;
		std::exception_ptr thrown;

		static int edge(void *arg) noexcept
		{
			call *c = static_cast<call *>(arg);

			try {
				return (*c->fn)();
			} catch (...) {
				c->thrown = std::current_exception();
				return 0;
			}
		}
	} c = {&fn, nullptr};
	int res = bp_offload(call::edge, &c);

	if (c.thrown)
		std::rethrow_exception(c.thrown);
	return res;
}

} /* namespace bp */

#endif /* BATCHPROC_HPP */
