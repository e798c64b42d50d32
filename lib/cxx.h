/* SPDX-License-Identifier: MIT */
/*
 * The state of exceptions that a C++ runtime keeps for each thread: those that are caught, and how many are
 * on their way (the Itanium ABI's __cxa_eh_globals). Tasks that share a thread each need their own, or a
 * `throw;` would throw another task's.
 *
 * Where no such runtime is loaded there is nothing to keep, and cxx_state() is NULL.
 */
#ifndef BP_CXX_H
#define BP_CXX_H

#include <stddef.h>

struct cxx_state {
	void *caught;
	unsigned int uncaught;
};

extern struct cxx_state *__cxa_get_globals(void) __attribute__((weak));

/** The calling thread's state, or NULL. */
static inline struct cxx_state *cxx_state(void)
{
	return __cxa_get_globals ? __cxa_get_globals() : NULL;
}

/** Takes the thread's state away, so that what runs next finds none. */
static inline struct cxx_state cxx_take(void)
{
	struct cxx_state *state = cxx_state(), taken = {NULL, 0};

	if (state) {
		taken = *state;
		*state = (struct cxx_state){NULL, 0};
	}
	return taken;
}

/** Puts back what cxx_take() took. */
static inline void cxx_give(struct cxx_state taken)
{
	struct cxx_state *state = cxx_state();

	if (state)
		*state = taken;
}

#endif /* BP_CXX_H */
