/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Mapped files that may lose their pages. Where a file was truncated by somebody, its disk
 * cannot be read, or a copy-on-write file system finds no room for a page that is written
 * to, the kernel ends the process by SIGBUS. For an area that is watched it does not: the
 * page is replaced by one of zeros in memory, and the area is marked. Every other SIGBUS does
 * what it did before.
 *
 *	area.begin = ...; area.len = ...;
 *	ft_sigbus_watch(&area);
 *	... use it; then: if (ft_sigbus_hit(&area)) what was read or written is void ...
 *	ft_sigbus_unwatch(&area);
 *
 * Threads: any may touch an area; watch and unwatch one at a time.
 */
#ifndef FT_BASE_SIGBUS_H
#define FT_BASE_SIGBUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct ft_sigbus_area {
	char *begin;		/* at the beginning of a page */
	size_t len;
	atomic_bool hit;
};

/* False: it is not watched, since too many are, or the system refused. */
bool ft_sigbus_watch(struct ft_sigbus_area *area);

/* One that is not watched is ignored. */
void ft_sigbus_unwatch(struct ft_sigbus_area *area);

/* Whether a page of the area was lost; in order with what was read from it before. */
static inline bool ft_sigbus_hit(const struct ft_sigbus_area *area)
{
	return atomic_load_explicit(&area->hit, memory_order_acquire);
}

#endif
