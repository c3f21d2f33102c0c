/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "log/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "base/sys.h"
#include "base/system.h"

#define PLACE_SHM "/dev/shm"
#define PLACE_PART 4		/* of a tmpfs, which is half of the memory */
#define PLACE_HASH_LEN 8	/* bytes of the hash that stand in a name */
#define PLACE_FIRST_USER 1000	/* below: users of the system, whom logind lets alone */

/* --- paths --- */

__attribute__((format(printf, 2, 3)))
static enum ft_status place_say(struct ft_log_place *place, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(place->why, sizeof place->why, format, args);
	va_end(args);
	return FT_IO_ERROR;
}

static const char *place_root(const struct ft_log_place_query *query)
{
	return query->root ? query->root : "";
}

/* "<directory>/log" in storage_dir, else with a hash of which storage it is. */
static enum ft_status place_path(const struct ft_log_place_query *query, const char *root,
				 const char *dir, struct ft_log_place *place)
{
	char real_room[PATH_MAX];
	char seed_room[PATH_MAX + 64], error_room[FT_ERROR_ROOM];
	struct ft_buf path = ft_buf_on(place->path, sizeof place->path);
	struct ft_buf seed = ft_buf_on(seed_room, sizeof seed_room);
	const char *real = realpath(query->storage_dir, real_room);
	struct stat storage, there;
	struct ft_sha256 hash;
	struct statfs fs;

	ft_buf_str(&path, root);
	ft_buf_str(&path, dir);
	if (!real || stat(real, &storage) != 0 || !ft_buf_ok(&path)
	    || stat(place->path, &there) != 0 || statfs(place->path, &fs) != 0)
		return place_say(place, "%s cannot be used for the log: %s", dir,
				 ft_buf_ok(&path) ? ft_error_text(errno, error_room)
						  : "its path is too long");
	place->medium = fs.f_type == TMPFS_MAGIC ? FT_LOG_IN_MEMORY : FT_LOG_ON_DISK;
	if (storage.st_dev == there.st_dev && storage.st_ino == there.st_ino) {
		ft_buf_str(&path, "/log");
	} else {
		ft_buf_printf(&seed, "%ju %ju %s", (uintmax_t)storage.st_dev,
			      (uintmax_t)storage.st_ino, real);
		if (!ft_buf_ok(&seed) || !ft_sha256_of(seed.text, seed.len, &hash))
			return place_say(place, "libcrypto has no SHA-256");
		ft_buf_str(&path, "/mosquitto-file-transfer-");
		ft_buf_hex(&path, hash.bytes, PLACE_HASH_LEN);
	}
	if (!ft_buf_ok(&path))
		return place_say(place, "%s cannot be used for the log: its path is too long", dir);
	return FT_OK;
}

/* --- what speaks against tmpfs --- */

/* Whether a namespace of ours is the one that the machine booted with. */
static bool place_is_first(const struct ft_log_place_query *query, const char *namespace,
			   const char *first)
{
	char path[PATH_MAX], link[64];
	ssize_t len;

	snprintf(path, sizeof path, "%s/proc/self/ns/%s", place_root(query), namespace);
	len = readlink(path, link, sizeof link - 1);
	if (len < 0)
		return false;	/* who knows */
	link[len] = '\0';
	return strcmp(link, first) == 0;
}

static const char *place_is_unfit(const struct ft_log_place_query *query)
{
	char dir[PATH_MAX];
	struct ft_log_place shm;
	struct statvfs space;
	struct stat file;

	snprintf(dir, sizeof dir, "%s" PLACE_SHM, place_root(query));
	if (place_path(query, place_root(query), PLACE_SHM, &shm) != FT_OK
	    || shm.medium != FT_LOG_IN_MEMORY)
		return PLACE_SHM " is no tmpfs";
	if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) != 0)
		return PLACE_SHM " is not writable";
	if (statvfs(dir, &space) != 0
	    || query->size > (uint64_t)space.f_blocks * space.f_frsize / PLACE_PART)
		return "log_size is more than a quarter of " PLACE_SHM;
	if (lstat(shm.path, &file) == 0) {
		/* Anybody may put files there. */
		if (!S_ISREG(file.st_mode) || file.st_uid != geteuid())
			return "somebody else has put a file of its name into " PLACE_SHM;
		return NULL;
	}
	/* A page more for the header. */
	if (query->size / space.f_frsize + 2 > space.f_bavail)
		return "there is no room for log_size in " PLACE_SHM;
	return NULL;
}

/* Why not on tmpfs, or NULL. */
static const char *place_obstacle(const struct ft_log_place_query *query)
{
	const char *pid = getenv("SYSTEMD_EXEC_PID");
	char path[PATH_MAX], mine[24];

	if (query->sync == FT_LOG_SYNCED)
		return "durability segment is a promise about power cuts";
	/* The kernel's PROC_PID_INIT_INO and PROC_IPC_INIT_INO have always been these. */
	if (!place_is_first(query, "pid", "pid:[4026531836]")
	    || !place_is_first(query, "ipc", "ipc:[4026531839]"))
		return "in a container " PLACE_SHM " may end with the broker";
	/* systemd sets USER where a unit has User=, and RemoveIPC= acts on those only. */
	snprintf(mine, sizeof mine, "%ld", (long)getpid());
	if (pid && strcmp(pid, mine) == 0 && getenv("USER"))
		return "at the end of a systemd unit with User= RemoveIPC= may empty " PLACE_SHM;
	snprintf(path, sizeof path, "%s/run/systemd/system", place_root(query));
	if (geteuid() >= PLACE_FIRST_USER && access(path, F_OK) == 0)
		return "at the logout of an ordinary user logind may empty " PLACE_SHM;
	return place_is_unfit(query);
}

/* --- choosing --- */

static enum ft_status place_automatically(const struct ft_log_place_query *query,
					  struct ft_log_place *place)
{
	const char *why = place_obstacle(query);
	enum ft_status st;

	st = why ? place_path(query, "", query->storage_dir, place)
		 : place_path(query, place_root(query), PLACE_SHM, place);
	if (st == FT_OK && why)
		(void)place_say(place, "the log is in storage_dir: %s", why);
	else if (st == FT_OK)
		(void)place_say(place, "the log is %s, in memory", place->path);
	return st;
}

enum ft_status ft_log_place(const struct ft_log_place_query *query, struct ft_log_place *place)
{
	enum ft_status st;

	if (!query->log_dir)
		return place_automatically(query, place);
	if ((st = place_path(query, "", query->log_dir, place)) != FT_OK)
		return st;
	if (query->sync == FT_LOG_SYNCED && place->medium == FT_LOG_IN_MEMORY)
		return place_say(place, "log_dir %s is in memory, "
				 "but durability segment is a promise about power cuts",
				 query->log_dir);
	(void)place_say(place, "the log is %s, by log_dir", place->path);
	return FT_OK;
}

/* --- former places --- */

void ft_log_whose(const char *storage_dir, char whose[FT_LOG_WHOSE_ROOM])
{
	struct ft_buf text = ft_buf_on(whose, FT_LOG_WHOSE_ROOM);
	char room[PATH_MAX];
	const char *real = realpath(storage_dir, room);
	struct stat storage, root;

	if (!real || stat(real, &storage) != 0 || stat("/", &root) != 0)
		return;
	ft_buf_printf(&text, "%ju %ju %ju %ju %s", (uintmax_t)storage.st_dev,
		      (uintmax_t)storage.st_ino, (uintmax_t)root.st_dev, (uintmax_t)root.st_ino, real);
	if (!ft_buf_ok(&text) || strchr(real, '\n'))
		whose[0] = '\0';
}

/* A note that was read. */
struct place_note {
	char text[2 * FT_LOG_PATH_ROOM + 64];
	const char *medium, *path, *whose;
};

static bool place_note_path(const char *storage_dir, char path[FT_LOG_PATH_ROOM], const char *suffix)
{
	struct ft_buf buf = ft_buf_on(path, FT_LOG_PATH_ROOM);

	ft_buf_printf(&buf, "%s/log.path%s", storage_dir, suffix);
	return ft_buf_ok(&buf);
}

/* False: there is none, or none that makes sense. */
static bool place_read_note(const char *storage_dir, struct place_note *note)
{
	char path[FT_LOG_PATH_ROOM], *version = note->text, *next = version;
	const char **const lines[] = { &note->medium, &note->path, &note->whose };
	int fd = place_note_path(storage_dir, path, "")
		 ? ft_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0) : -1;
	ssize_t got = fd < 0 ? -1 : ft_sys_read_all(fd, note->text, sizeof note->text - 1, 0);

	ft_sys_close(fd);
	if (got < 0)
		return false;
	note->text[got] = '\0';
	strsep(&next, "\n");
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		*lines[i] = strsep(&next, "\n");
	return strcmp(version, "1") == 0 && note->medium && note->path && note->path[0] == '/'
	       && note->whose && strlen(note->path) < FT_LOG_PATH_ROOM;
}

/* Whether two texts are of the same directory: its inode, and its device or its path. */
static bool place_is_same(const char *a, const char *b)
{
	unsigned long long dev[2], ino[2];
	int at[2] = { 0, 0 };

	return sscanf(a, "%llu %llu %*u %*u %n", &dev[0], &ino[0], &at[0]) == 2 && at[0] > 0
	       && sscanf(b, "%llu %llu %*u %*u %n", &dev[1], &ino[1], &at[1]) == 2 && at[1] > 0
	       && ino[0] == ino[1] && (dev[0] == dev[1] || strcmp(a + at[0], b + at[1]) == 0);
}

/* The place that was noted; *found is false where it is none of these, or need not be looked at. */
static enum ft_status place_noted(const struct ft_log_place_query *query,
				  const struct ft_log_place *place, struct ft_log_place *noted,
				  bool *found)
{
	struct place_note *note = calloc(1, sizeof *note);
	char whose[FT_LOG_WHOSE_ROOM], error_room[FT_ERROR_ROOM];
	enum ft_status st = FT_OK;
	struct stat file;

	*found = false;
	if (!note)
		return place_say(noted, "out of memory");
	ft_log_whose(query->storage_dir, whose);
	if (place_read_note(query->storage_dir, note) && place_is_same(note->whose, whose)
	    && strcmp(note->path, place->path) != 0) {
		snprintf(noted->path, sizeof noted->path, "%s", note->path);
		noted->medium = strcmp(note->medium, "memory") == 0 ? FT_LOG_IN_MEMORY : FT_LOG_ON_DISK;
		*found = lstat(noted->path, &file) == 0;
		if (!*found && (errno != ENOENT || noted->medium == FT_LOG_ON_DISK))
			st = place_say(noted, "the log was %.300s, by log_dir, and may hold what was "
				       "acknowledged: %s; bring it back, or remove log.path in "
				       "storage_dir if it is gone for good", note->path,
				       ft_error_text(errno, error_room));
	}
	free(note);
	return st;
}

enum ft_status ft_log_former_places(const struct ft_log_place_query *query,
				    const struct ft_log_place *place,
				    struct ft_log_place former[FT_LOG_FORMER_MAX], size_t *count)
{
	const struct {
		const char *root;
		const char *dir;
	} dirs[] = {
		{ "", query->storage_dir },
		{ place_root(query), PLACE_SHM },
	};
	enum ft_status st;
	bool noted;

	*count = 0;
	if ((st = place_noted(query, place, &former[0], &noted)) != FT_OK)
		return st;
	*count = noted;
	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
		if (place_path(query, dirs[i].root, dirs[i].dir, &former[*count]) == FT_OK
		    && strcmp(former[*count].path, place->path) != 0
		    && !(noted && strcmp(former[*count].path, former[0].path) == 0))
			++*count;
	return FT_OK;
}

/* What is in storage_dir or in /dev/shm is found without a note. */
static bool place_needs_note(const char *storage_dir, const struct ft_log_place *place)
{
	size_t len = strlen(storage_dir);

	return strncmp(place->path, PLACE_SHM "/mosq", sizeof PLACE_SHM "/mosq" - 1) != 0
	       && !(strncmp(place->path, storage_dir, len) == 0
		    && strcmp(place->path + len, "/log") == 0);
}

static bool place_write_note(const char *storage_dir, const char *text, size_t len)
{
	char path[FT_LOG_PATH_ROOM], aside[FT_LOG_PATH_ROOM];
	bool ok = false;
	int fd;

	if (!place_note_path(storage_dir, path, "") || !place_note_path(storage_dir, aside, ".new")) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = ft_sys_openat(AT_FDCWD, aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd >= 0)
		ok = ft_sys_write_all(fd, text, len, 0) && ft_sys_fsync(fd) == 0;
	ft_sys_close(fd);
	return ok && ft_sys_renameat(AT_FDCWD, aside, AT_FDCWD, path) == 0
	       && ft_sys_sync_parent(path) == 0;
}

bool ft_log_note_place(const char *storage_dir, const struct ft_log_place *place)
{
	struct place_note *note = calloc(1, sizeof *note);
	char room[2 * FT_LOG_PATH_ROOM], whose[FT_LOG_WHOSE_ROOM], path[FT_LOG_PATH_ROOM];
	struct ft_buf text = ft_buf_on(room, sizeof room);
	bool ok = true, there = note && place_read_note(storage_dir, note);

	ft_log_whose(storage_dir, whose);
	if (!place_needs_note(storage_dir, place)) {
		if (there && place_note_path(storage_dir, path, ""))
			ok = ft_sys_unlinkat(AT_FDCWD, path, 0) == 0;
	} else if (!there || strcmp(note->path, place->path) != 0 || strcmp(note->whose, whose) != 0) {
		ft_buf_printf(&text, "1\n%s\n%s\n%s\n",
			      place->medium == FT_LOG_IN_MEMORY ? "memory" : "disk", place->path, whose);
		ok = place_write_note(storage_dir, room, text.len);
	}
	free(note);
	return ok;
}
