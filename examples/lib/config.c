/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_MAX 65536

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

/* "host x", "--host x" and "host = x" are all the same. False: `take` has refused it. */
static bool take_line(struct command *command, char *line, config_take *take)
{
	line += strspn(line, " \t");
	char *end = line + strlen(line);
	while (end > line && strchr(" \t\r", end[-1]))
		*--end = '\0';
	if (!*line || *line == '#')
		return true;
	line += strspn(line, "-");
	char *word_end = line + strcspn(line, " \t=");
	char *value = word_end + strspn(word_end, " \t");
	/* One of them: the value may begin with another. */
	if (*value == '=')
		value += 1 + strspn(value + 1, " \t");
	*word_end = '\0';
	/* "" is nothing, as on the command line. */
	if (strcmp(value, "\"\"") == 0)
		return take(command, line, "");
	return take(command, line, *value ? value : NULL);
}

static bool take_lines(struct command *command, char *rest, config_take *take)
{
	char *line;

	while ((line = strsep(&rest, "\n"))) {
		if (!take_line(command, line, take))
			return false;
	}
	return true;
}

bool config_read(struct command *command, config_take *take, enum exit_code *code)
{
	const char *path = command->config;
	char *usual = path ? NULL : config_place("XDG_CONFIG_HOME", ".config", command->line->program);
	const char *place = path ? path : usual;
	char *text = place && *place ? read_text(place) : NULL;
	bool ok = true;

	*code = EXIT_USAGE;
	if (text) {
		ok = command_own(command, text) && take_lines(command, text, take);
		if (!ok)
			complain(EXIT_USAGE, "(in %s)", place);
	} else if (place && *place && (path || errno != ENOENT)) {
		complain(EXIT_USAGE, "%s: %s", place, strerror(errno));
		ok = false;
	}
	free(usual);
	return ok;
}
