/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Lists, which come in pages. */
#ifndef FT_CTL_PAGES_H
#define FT_CTL_PAGES_H

#include "call.h"

struct pages {
	const char *command;		/* listFiles */
	const char *what;		/* the member with the entries: files */
	const char *client;		/* NULL: any */
	const char *clients;		/* pattern, of listClients; NULL: any */
	const char *to, *status;	/* of offers, of jobs; NULL: any */
	const struct filter *filter;	/* NULL: none */
	unsigned limit;			/* entries in all; 0: no limit */
};

/* Visits all entries; false from it ends the walk. False: an error, which was told. */
typedef bool page_visit(void *context, cJSON *entry);
bool pages_each(struct caller *caller, const struct pages *pages, page_visit *visit, void *context);

#endif
