/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "complain.h"
#include "config.h"
#include "names.h"
#include "process.h"
#include "sha256.h"

#define LOCK_EVERY_MS 200

/* --- names --- */

/* What no topic can have in a level becomes an underscore. */
static char *identity_clean(const char *text)
{
	char *name = name_of_path(text);

	for (char *at = name; at && *at; at++) {
		if (strchr("+#/", *at))
			*at = '_';
	}
	return name;
}

static char *identity_user(void)
{
	const struct passwd *user = getpwuid(getuid());
	char number[24];

	snprintf(number, sizeof(number), "%ld", (long)getuid());
	return identity_clean(user && user->pw_name && *user->pw_name ? user->pw_name : number);
}

char *identity_make_id(const char *program)
{
	char text[256] = "";
	char *id = NULL;

	gethostname(text, sizeof(text) - 1);
	char *host = identity_clean(*text ? text : "host"), *user = identity_user();
	if (!host || !user || asprintf(&id, "%s-%s-%s", program, host, user) < 0)
		id = NULL;
	free(host);
	free(user);
	return id;
}

/* --- places --- */

static bool identity_make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		bool ok = mkdir(path, 0700) == 0 || errno == EEXIST;
		*slash = '/';
		if (!ok)
			return false;
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static char *identity_file(const char *folder, const struct link_options *link)
{
	char hex[SHA256_HEX_ROOM];
	char *who = NULL, *path = NULL;
	int len = asprintf(&who, "%s@%s:%d", link->client_id, link->unix_path ? link->unix_path
			   : link->host, link->port);

	if (len >= 0 && sha256_hex(hex, who, (size_t)len) &&
	    asprintf(&path, "%s/%.32s.json", folder, hex) < 0)
		path = NULL;
	if (len >= 0)
		free(who);
	return path;
}

char *identity_state_path(const struct link_options *link, const char *program,
			  const char *state_dir)
{
	char *path = NULL;
	char *folder = state_dir ? strdup(state_dir)
		       : config_place("XDG_STATE_HOME", ".local/state", program);

	if (folder && *folder && !identity_make_folders(folder))
		complain(EXIT_DONE, "%s: %s; what is unfinished is not noted", folder,
			 strerror(errno));
	else if (folder && *folder)
		path = identity_file(folder, link);
	free(folder);
	return path;
}

/* `path` with another ending than .json. */
static char *identity_beside(const char *path, const char *ending)
{
	char *other = NULL;

	return asprintf(&other, "%.*s%s", (int)(strlen(path) - strlen(".json")), path, ending) < 0
	       ? NULL : other;
}

char *identity_seal_dir(const char *state_path)
{
	return identity_beside(state_path, ".sealed");
}

/* --- the lock --- */

static long identity_owner(int fd)
{
	char text[24] = "";
	ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

	return got > 0 ? strtol(text, NULL, 10) : 0;
}

/* The file that has this name now may be another one: its owner removes it at his end. */
static bool identity_is_there(const struct identity_lock *lock)
{
	struct stat ours, named;

	return fstat(lock->fd, &ours) == 0 && stat(lock->path, &named) == 0 &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static enum identity_outcome identity_try(struct identity_lock *lock)
{
	lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock->fd < 0)
		return IDENTITY_FAILED;
	if (flock(lock->fd, LOCK_EX | LOCK_NB) != 0) {
		enum identity_outcome outcome = errno == EWOULDBLOCK ? IDENTITY_TAKEN
								     : IDENTITY_FAILED;
		lock->owner = identity_owner(lock->fd);
		return outcome;
	}
	return identity_is_there(lock) ? IDENTITY_OURS : IDENTITY_TAKEN;
}

static void identity_note_owner(const struct identity_lock *lock)
{
	/* Only for the eyes of whoever waits. */
	if (ftruncate(lock->fd, 0) == 0)
		(void)dprintf(lock->fd, "%ld\n", (long)getpid());
}

enum identity_outcome identity_lock(struct identity_lock *lock, const char *state_path)
{
	*lock = (struct identity_lock){ .fd = -1 };
	if (!state_path)
		return IDENTITY_OURS;
	lock->path = identity_beside(state_path, ".lock");
	if (!lock->path)
		return IDENTITY_FAILED;
	enum identity_outcome outcome = identity_try(lock);
	if (outcome == IDENTITY_OURS) {
		identity_note_owner(lock);
		return outcome;
	}
	int error = errno;
	if (lock->fd >= 0)
		close(lock->fd);
	free(lock->path);
	lock->path = NULL;
	lock->fd = -1;
	errno = error;
	return outcome;
}

void identity_unlock(struct identity_lock *lock)
{
	if (lock->fd < 0)
		return;
	/* While it is locked: whoever comes now makes a new one. */
	unlink(lock->path);
	close(lock->fd);
	free(lock->path);
	*lock = (struct identity_lock){ .fd = -1 };
}

bool identity_take_turn(struct identity_lock *lock, const char *state_path, const sigset_t *open,
			void (*queued)(void *context, long owner), void *context)
{
	const struct timespec pause = { 0, LOCK_EVERY_MS * 1000000L };
	bool told = false;

	while (!process_stopped) {
		switch (identity_lock(lock, state_path)) {
		case IDENTITY_OURS:
			return true;
		case IDENTITY_FAILED:
			complain(EXIT_DONE, "no lock beside %s: %s; two at once would disturb each "
				 "other", state_path, strerror(errno));
			return true;
		case IDENTITY_TAKEN:
			break;
		}
		if (!told)
			queued(context, lock->owner);
		told = true;
		ppoll(NULL, 0, &pause, open);
	}
	return false;
}
