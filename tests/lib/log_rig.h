/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * One log in a directory of its own, and the lines that it has said. Include it once.
 *
 *	log_rig_set_up(65536, "boot=1");	config is ready; nothing is open
 *	if (log_rig_open() == FT_OK) ...	ring, past, id
 *	log_rig_tear_down();
 */
#ifndef FT_TESTS_LIB_LOG_RIG_H
#define FT_TESTS_LIB_LOG_RIG_H

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "log/log.h"

#include "../tree.h"

static char dir[256];
static char path[300];
static char lines[4096];
static struct ft_logger *logger;
static struct ft_log_config config;
static struct ft_log *ring;
static enum ft_log_past past;
static uint8_t id[FT_LOG_ID_LEN];

static void log_rig_line(void *context, enum ft_log_level level, const char *line)
{
	size_t len = strlen(lines);

	(void)context;
	(void)level;
	snprintf(lines + len, sizeof lines - len, "%s\n", line);
}

static inline void log_rig_set_up(uint64_t size, const char *identity)
{
	ck_assert(tree_make(dir, sizeof dir, "log"));
	snprintf(path, sizeof path, "%s/log", dir);
	logger = ft_logger_new(log_rig_line, NULL);
	config = (struct ft_log_config){ .path = path, .size = size, .identity = identity,
					 .logger = logger };
}

static inline void log_rig_tear_down(void)
{
	ft_log_close(&ring);
	ft_logger_free(logger);
	tree_remove(dir);
}

static inline enum ft_status log_rig_open(void)
{
	return ft_log_open(&config, &ring, &past, id);
}

#endif
