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

size_t ft_log_former_places(const struct ft_log_place_query *query,
			    const struct ft_log_place *place,
			    struct ft_log_place former[FT_LOG_FORMER_MAX])
{
	const struct {
		const char *root;
		const char *dir;
	} dirs[FT_LOG_FORMER_MAX] = {
		{ "", query->storage_dir },
		{ place_root(query), PLACE_SHM },
	};
	size_t count = 0;

	for (size_t i = 0; i < FT_LOG_FORMER_MAX; i++)
		if (place_path(query, dirs[i].root, dirs[i].dir, &former[count]) == FT_OK
		    && strcmp(former[count].path, place->path) != 0)
			count++;
	return count;
}
