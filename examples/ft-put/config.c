/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_MAX 65536
static char program[] = "ft-put";

char *config_place(const char *variable, const char *home, const char *tail)
{
	const char *base = getenv(variable), *user = getenv("HOME");
	char *place = NULL;
	int len = -1;

	if (base && *base == '/')
		len = asprintf(&place, "%s/%s", base, tail);
	else if (user && *user == '/')
		len = asprintf(&place, "%s/%s/%s", user, home, tail);
	return len < 0 ? NULL : place;
}

static char *read_text(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = file ? calloc(1, CONFIG_MAX + 3) : NULL;
	size_t len = text ? fread(text, 1, CONFIG_MAX + 1, file) : 0;
	bool failed = !text || ferror(file) || len > CONFIG_MAX;
	int error = len > CONFIG_MAX ? EFBIG : errno;

	if (file)
		fclose(file);
	if (!failed)
		return text;
	free(text);
	errno = error;
	return NULL;
}

static bool add(struct config *config, char *argument)
{
	char **args = realloc(config->args, (size_t)(config->count + 2) * sizeof(*args));

	if (!args)
		return false;
	config->args = args;
	args[config->count++] = argument;
	args[config->count] = NULL;
	return true;
}

/* "host x" becomes "--host", "x", written to *to. */
static bool add_line(struct config *config, char *line, char **to)
{
	line += strspn(line, " \t");
	char *end = line + strlen(line);
	while (end > line && strchr(" \t\r", end[-1]))
		*--end = '\0';
	if (!*line || *line == '#')
		return true;
	char *word_end = line + strcspn(line, " \t=");
	char *value = word_end + strspn(word_end, " \t");
	/* One of them: the value may begin with another. */
	if (*value == '=')
		value += 1 + strspn(value + 1, " \t");
	*word_end = '\0';
	const char *dashes = *line == '-' ? "" : "--";
	/* "" is nothing, as on the command line. */
	bool empty = strcmp(value, "\"\"") == 0;
	if (empty)
		*value = '\0';
	char *option = *to;
	*to += snprintf(*to, strlen(line) + 3, "%s%s", dashes, line) + 1;
	char *argument = *to;
	*to += snprintf(*to, strlen(value) + 1, "%s", value) + 1;
	return add(config, option) && ((!*value && !empty) || add(config, argument));
}

static bool split(struct config *config, char *rest)
{
	char *line;
	/* Each line may grow by two dashes and two ends. */
	char *to = calloc(5, strlen(rest) + 1);

	config->text = to;
	if (!to || !add(config, program))
		return false;
	while ((line = strsep(&rest, "\n"))) {
		if (!add_line(config, line, &to))
			return false;
	}
	return true;
}

bool config_load(struct config *config, const char *path, enum exit_code *code)
{
	char *text = NULL;
	char *usual = path ? NULL : config_place("XDG_CONFIG_HOME", ".config", "ft-put");

	*config = (struct config){ .path = path ? path : "the configuration file" };
	if (!path)
		path = usual;
	if (path && *path)
		text = read_text(path);
	bool missing = !text && path && *path && (!usual || errno != ENOENT);
	if (missing)
		*code = complain(EXIT_USAGE, "%s: %s", path, strerror(errno));
	free(usual);
	if (missing)
		return false;
	bool ok = !text || split(config, text);
	free(text);
	if (ok)
		return true;
	*code = complain(EXIT_INTERNAL, "out of memory");
	return false;
}
