/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "base/sigbus.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIGBUS_AREAS 4

static _Atomic(struct ft_sigbus_area *) sigbus_areas[SIGBUS_AREAS];
static struct sigaction sigbus_before;	/* what others had installed */
static bool sigbus_is_installed;
static uintptr_t sigbus_page;

/* In a signal handler: of the C library only mmap(), which is a bare system call everywhere. */
static bool sigbus_replace_page(void *at)
{
	for (int i = 0; i < SIGBUS_AREAS; i++) {
		struct ft_sigbus_area *area = atomic_load(&sigbus_areas[i]);
		char *page = (char *)at - (uintptr_t)at % sigbus_page;

		if (!area || (char *)at < area->begin || (char *)at >= area->begin + area->len)
			continue;
		if (mmap(page, sigbus_page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			return false;
		atomic_store_explicit(&area->hit, true, memory_order_release);
		return true;
	}
	return false;
}

static void sigbus_handler(int number, siginfo_t *info, void *context)
{
	int saved = errno;
	bool replaced = info->si_code > 0 && sigbus_replace_page(info->si_addr);

	errno = saved;
	if (replaced)
		return;
	if (sigbus_before.sa_flags & SA_SIGINFO) {
		sigbus_before.sa_sigaction(number, info, context);
		return;
	}
	if (sigbus_before.sa_handler != SIG_DFL && sigbus_before.sa_handler != SIG_IGN) {
		sigbus_before.sa_handler(number);
		return;
	}
	/* As if there had been no handler: the access is repeated, a signal by kill() is sent again. */
	sigaction(SIGBUS, &sigbus_before, NULL);
	if (info->si_code <= 0)
		raise(SIGBUS);
}

static bool sigbus_install(void)
{
	struct sigaction action = { .sa_sigaction = sigbus_handler,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };

	if (sigbus_is_installed)
		return true;
	sigbus_page = (uintptr_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&action.sa_mask);
	sigbus_is_installed = sigaction(SIGBUS, &action, &sigbus_before) == 0;
	return sigbus_is_installed;
}

/* The code may be unloaded next. Who has put a handler over ours has to call it, and keeps it. */
static void sigbus_uninstall(void)
{
	struct sigaction now;

	for (int i = 0; i < SIGBUS_AREAS; i++)
		if (atomic_load(&sigbus_areas[i]))
			return;
	if (sigbus_is_installed && sigaction(SIGBUS, NULL, &now) == 0
	    && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == sigbus_handler) {
		sigaction(SIGBUS, &sigbus_before, NULL);
		sigbus_is_installed = false;
	}
}

bool ft_sigbus_watch(struct ft_sigbus_area *area)
{
	atomic_store(&area->hit, false);
	if (!sigbus_install())
		return false;
	for (int i = 0; i < SIGBUS_AREAS; i++) {
		struct ft_sigbus_area *none = NULL;

		if (atomic_compare_exchange_strong(&sigbus_areas[i], &none, area))
			return true;
	}
	return false;
}

void ft_sigbus_unwatch(struct ft_sigbus_area *area)
{
	for (int i = 0; i < SIGBUS_AREAS; i++) {
		struct ft_sigbus_area *it = area;

		if (atomic_compare_exchange_strong(&sigbus_areas[i], &it, NULL))
			sigbus_uninstall();
	}
}
