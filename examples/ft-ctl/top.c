/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "top.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pages.h"
#include "table.h"

#define TOP_TRANSFERS_MAX 10000	/* that are looked at; a broker's default limit */
#define HEAD_LINES 4

/* Takes 80 columns. */
static const struct table_column top_columns[] = {
	{ "CLIENT", -14, cell_client }, { "NAME", -18, cell_name }, { "SIZE", 6, cell_size },
	{ "DONE", 4, cell_done }, { "", -14, cell_bar }, { "RATE", 7, cell_rate },
	{ "LEFT", 6, cell_left }, { "", -4, cell_mark },
	{ NULL, 0, NULL },
};

static volatile sig_atomic_t top_stopped;

static void top_stop(int signal)
{
	(void)signal;
	top_stopped = 1;
}

static bool top_take(void *context, cJSON *entry)
{
	cJSON *copy = cJSON_Duplicate(entry, true);

	if (copy)
		cJSON_AddItemToArray(context, copy);
	return copy != NULL;
}

/* The fastest first; of those that stand still what is held most. */
static int top_compare(const void *a, const void *b)
{
	static const char *const keys[] = { "bytes_per_second", "received" };
	const cJSON *x = *(cJSON *const *)a, *y = *(cJSON *const *)b;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		double left = number_of(x, keys[i]), right = number_of(y, keys[i]);

		if (left != right)
			return left < right ? 1 : -1;
	}
	return strcmp(text_of(x, "client_id"), text_of(y, "client_id"));
}

static int top_rows(void)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0
	    && size.ws_row > HEAD_LINES + 1)
		return size.ws_row - HEAD_LINES - 1;
	return 20;
}

static void top_print_head(const cJSON *status, double rate)
{
	char uptime[32], speed[32], fill[32], size[32], space[32] = "?";
	bool paused = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(status, "all_paused"));

	print_time(uptime, sizeof(uptime), number_of(status, "uptime"));
	print_size(speed, sizeof(speed), rate);
	print_size(fill, sizeof(fill), number_of(status, "log_fill"));
	print_size(size, sizeof(size), number_of(status, "log_size"));
	if (cJSON_HasObjectItem(status, "disk_free"))
		print_size(space, sizeof(space), number_of(status, "disk_free"));
	printf("file-transfer %s, up %s%s\n", text_of(status, "version"), uptime,
	       paused ? ", ALL PAUSED" : "");
	printf("%.0f transfers, %s/s; %.0f files; log %s of %s; %s free%s\n\n",
	       number_of(status, "transfers"), speed, number_of(status, "finished"), fill, size, space,
	       cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(status, "disk_full")) ? ", DISK FULL" : "");
}

static void top_print(const cJSON *status, cJSON **transfers, int count)
{
	double rate = 0;
	int rows = top_rows();

	for (int i = 0; i < count; i++)
		rate += number_of(transfers[i], "bytes_per_second");
	if (isatty(STDOUT_FILENO))
		printf("\033[H\033[2J");
	top_print_head(status, rate);
	table_print_head(top_columns);
	for (int i = 0; i < count && i < rows; i++)
		table_print(top_columns, transfers[i], TABLE_CUT);
	fflush(stdout);
}

/* False: an error, which was told. */
static bool top_look(struct caller *caller, const struct settings *settings)
{
	const struct pages pages = {
		.command = "listTransfers", .what = "transfers", .filter = &settings->filter,
		.client = settings->argument_count ? settings->arguments[0] : NULL,
		.limit = TOP_TRANSFERS_MAX,
	};
	cJSON *command = call_new("getStatus"), *entry, *status = call(caller, &command);
	cJSON *list = cJSON_CreateArray();
	cJSON **transfers = NULL;
	int count = 0;

	bool ok = status && list && pages_each(caller, &pages, top_take, list);
	if (ok)
		transfers = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*transfers));
	if (transfers) {
		cJSON_ArrayForEach(entry, list)
			transfers[count++] = entry;
		qsort(transfers, (size_t)count, sizeof(*transfers), top_compare);
		top_print(status, transfers, count);
	}
	free(transfers);
	cJSON_Delete(list);
	cJSON_Delete(status);
	return ok;
}

enum exit_code top_run(struct caller *caller, const struct settings *settings)
{
	struct sigaction action = { .sa_handler = top_stop };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	for (unsigned i = 0; !top_stopped && (!settings->count || i < settings->count); i++) {
		if (i && !caller_wait(caller, (int64_t)settings->interval_s * 1000))
			return top_stopped ? EXIT_DONE : caller->code;
		if (!top_stopped && !top_look(caller, settings))
			return top_stopped ? EXIT_DONE : caller->code;
	}
	return EXIT_DONE;
}
