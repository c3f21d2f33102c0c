/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/s3/credentials.h"

#include "base/sys.h"
#include "base/system.h"

/* Takes a value if there is room for it, and nothing in it that would end a header. */
static bool credentials_take(char *to, size_t room, const char *value, size_t len)
{
	if (len == 0 || len >= room)
		return false;
	for (size_t i = 0; i < len; i++)
		if (value[i] <= ' ' || value[i] == 0x7f)
			return false;
	memcpy(to, value, len);
	to[len] = '\0';
	return true;
}

/* --- the file --- */

struct credentials_line {
	const char *key, *value;
	size_t key_len, value_len;
};

static void credentials_trim(const char **text, size_t *len)
{
	while (*len > 0 && strchr(" \t\r", (*text)[0]))
		++*text, --*len;
	while (*len > 0 && strchr(" \t\r", (*text)[*len - 1]))
		--*len;
}

static bool credentials_is(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(text, word, len) == 0;
}

/* "[name]", or as in ~/.aws/config "[profile name]". */
static bool credentials_is_section(const char *line, size_t len, const char *profile)
{
	const char *name = line + 1;
	size_t name_len = len - 1;

	if (name_len > 0 && name[name_len - 1] == ']')
		name_len--;
	credentials_trim(&name, &name_len);
	if (name_len > 8 && memcmp(name, "profile ", 8) == 0) {
		name += 8;
		name_len -= 8;
		credentials_trim(&name, &name_len);
	}
	return credentials_is(name, name_len, profile);
}

static bool credentials_take_line(struct s3_credentials *c, const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len), *value;
	size_t key_len, value_len;

	if (!equals)
		return true;
	key_len = (size_t)(equals - line);
	value = equals + 1;
	value_len = len - key_len - 1;
	credentials_trim(&line, &key_len);
	credentials_trim(&value, &value_len);
	if (credentials_is(line, key_len, "aws_access_key_id"))
		return credentials_take(c->id, sizeof c->id, value, value_len);
	if (credentials_is(line, key_len, "aws_secret_access_key"))
		return credentials_take(c->secret, sizeof c->secret, value, value_len);
	if (credentials_is(line, key_len, "aws_session_token"))
		return credentials_take(c->token, sizeof c->token, value, value_len);
	return true;
}

bool s3_credentials_parse(struct s3_credentials *credentials, const char *text, size_t len,
			  const char *profile, struct ft_buf *why)
{
	bool inside = false, found = false, good = true;

	memset(credentials, 0, sizeof *credentials);
	for (size_t at = 0, next; at < len; at = next + 1) {
		const char *line = text + at;
		const char *end = memchr(line, '\n', len - at);
		size_t line_len = end ? (size_t)(end - line) : len - at;

		next = at + line_len;
		credentials_trim(&line, &line_len);
		if (line_len == 0 || line[0] == '#' || line[0] == ';')
			continue;
		if (line[0] == '[') {
			inside = credentials_is_section(line, line_len, profile);
			found = found || inside;
		} else if (inside) {
			good = credentials_take_line(credentials, line, line_len) && good;
		}
	}
	if (!found)
		ft_buf_printf(why, "has no section [%.100s]", profile);
	else if (!good)
		ft_buf_printf(why, "has an empty, too long or broken value in [%.100s]", profile);
	else if (!credentials->id[0] || !credentials->secret[0])
		ft_buf_printf(why, "has no aws_access_key_id and aws_secret_access_key in [%.100s]",
			      profile);
	return found && good && credentials->id[0] && credentials->secret[0];
}

/* --- the environment --- */

static bool credentials_take_variable(char *to, size_t room, const char *name)
{
	const char *value = getenv(name);

	return value && credentials_take(to, room, value, strlen(value));
}

bool s3_credentials_environment(struct s3_credentials *credentials, struct ft_buf *why)
{
	memset(credentials, 0, sizeof *credentials);
	if (!credentials_take_variable(credentials->id, sizeof credentials->id, "AWS_ACCESS_KEY_ID")
	    || !credentials_take_variable(credentials->secret, sizeof credentials->secret,
					  "AWS_SECRET_ACCESS_KEY")) {
		ft_buf_str(why, "there are no keys: set plugin_opt_s3_credentials_file, or "
			   "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the broker's environment");
		return false;
	}
	(void)credentials_take_variable(credentials->token, sizeof credentials->token,
					"AWS_SESSION_TOKEN");
	return true;
}

/* --- the keyring --- */

static bool keyring_is_read(const struct s3_keyring *k, const struct stat *info)
{
	return k->info.st_ino == info->st_ino && k->info.st_dev == info->st_dev
	       && k->info.st_size == info->st_size && k->info.st_ino != 0
	       && k->info.st_mtim.tv_sec == info->st_mtim.tv_sec
	       && k->info.st_mtim.tv_nsec == info->st_mtim.tv_nsec;
}

static bool keyring_read(struct s3_keyring *k, struct ft_buf *why)
{
	struct s3_credentials fresh;
	struct stat info;
	char *text = NULL;
	ssize_t got = -1;
	int fd = ft_sys_openat(AT_FDCWD, k->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	bool good = fd >= 0 && ft_sys_fstat(fd, &info) == 0;

	if (good && keyring_is_read(k, &info)) {
		ft_sys_close(fd);
		return true;
	}
	if (good && (text = malloc(S3_CREDENTIALS_FILE_MAX)) != NULL)
		got = ft_sys_read_all(fd, text, S3_CREDENTIALS_FILE_MAX, 0);
	if (got < 0) {
		char room[FT_ERROR_ROOM];

		ft_buf_printf(why, "s3_credentials_file %.300s: %s", k->path,
			      ft_error_text(errno, room));
		good = false;
	} else {
		ft_buf_printf(why, "s3_credentials_file %.300s ", k->path);
		good = s3_credentials_parse(&fresh, text, (size_t)got, k->profile, why);
	}
	if (good) {
		k->credentials = fresh;
		k->info = info;
	}
	if (text)
		explicit_bzero(text, S3_CREDENTIALS_FILE_MAX);
	explicit_bzero(&fresh, sizeof fresh);
	free(text);
	ft_sys_close(fd);
	return good;
}

bool s3_keyring_get(struct s3_keyring *keyring, struct s3_credentials *credentials,
		    struct ft_buf *why)
{
	bool good;

	if (!keyring->path)
		return s3_credentials_environment(credentials, why);
	pthread_mutex_lock(&keyring->lock);
	good = keyring_read(keyring, why);
	if (good)
		*credentials = keyring->credentials;
	pthread_mutex_unlock(&keyring->lock);
	return good;
}
