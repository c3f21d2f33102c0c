/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/fs.h"

#include "base/buf.h"
#include "base/crc32c.h"

#define DIR_MODE 0750
#define FILE_MODE 0640
#define MAKE_ATTEMPTS 100
#define QUIET_MS 1000	/* the same error again within this time is not logged */

/* --- names --- */

void fs_names_of(struct fs_names *names, const struct ft_key *key)
{
	ft_escape(names->client, key->client, key->client_len);
	ft_escape(names->file, key->file, key->file_len);
}

void fs_names_of_upload(struct fs_names *names, const struct fs_upload *up)
{
	const struct ft_key key = {
		.client = up->ids,
		.client_len = up->client_len,
		.file = up->ids + up->client_len,
		.file_len = up->file_len,
	};

	fs_names_of(names, &key);
}

static pthread_mutex_t *lock_of(struct fs *fs, const struct fs_names *names)
{
	uint32_t hash = ft_crc32c(names->client, strlen(names->client)) ^
			ft_crc32c(names->file, strlen(names->file)) * 31;

	return &fs->names[hash % FS_LOCKS];
}

void fs_lock(struct fs *fs, const struct fs_names *names)
{
	pthread_mutex_lock(lock_of(fs, names));
}

void fs_unlock(struct fs *fs, const struct fs_names *names)
{
	pthread_mutex_unlock(lock_of(fs, names));
}

/* --- looking --- */

bool fs_stat_pair(int top, const struct fs_names *names, const char *leaf, struct stat *found)
{
	char room[2 * FT_NAME_ROOM + 32];
	struct ft_buf path = ft_buf_on(room, sizeof room);

	ft_buf_str(&path, names->client);
	ft_buf_char(&path, '/');
	ft_buf_str(&path, names->file);
	if (leaf) {
		ft_buf_char(&path, '/');
		ft_buf_str(&path, leaf);
	}
	return ft_sys_fstatat(top, room, found, AT_SYMLINK_NOFOLLOW) == 0;
}

bool fs_is_absent(int top, const struct fs_names *names, const char *leaf)
{
	struct stat found;

	return !fs_stat_pair(top, names, leaf, &found) && errno == ENOENT;
}

bool fs_is_pair(int top, const struct fs_names *names, int dir)
{
	struct stat there, here;

	if (!fs_stat_pair(top, names, NULL, &there) || ft_sys_fstat(dir, &here) != 0)
		return false;
	errno = ENOENT;
	return there.st_ino == here.st_ino && there.st_dev == here.st_dev;
}

/* --- opening --- */

int fs_open_at(struct fs *fs, int dir, const char *name, int flags)
{
	int fd = ft_sys_openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);

	if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
		return fd;
	if (!pthread_equal(fs->broker, pthread_self()) || !fs_cache_evict(fs))
		return -1;
	return ft_sys_openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
}

int fs_open_dir(struct fs *fs, int dir, const char *name)
{
	return fs_open_at(fs, dir, name, O_RDONLY | O_DIRECTORY);
}

int fs_open_pair(struct fs *fs, int top, const struct fs_names *names)
{
	int client = fs_open_dir(fs, top, names->client);
	int file;

	if (client < 0)
		return -1;
	file = fs_open_dir(fs, client, names->file);
	ft_sys_close(client);
	return file;
}

static int make_dir(struct fs *fs, int dir, const char *name, bool *made)
{
	int fd;

	*made = ft_sys_mkdirat(dir, name, DIR_MODE) == 0;
	if (!*made && errno != EEXIST)
		return -1;
	fd = fs_open_dir(fs, dir, name);
	/* mkdir honours the umask, which belongs to the whole process. */
	if (fd < 0 || !*made || ft_sys_set_mode(fd, DIR_MODE) == 0)
		return fd;
	ft_sys_close(fd);
	return -1;
}

static int make_pair(struct fs *fs, int top, const struct fs_names *names, bool *made)
{
	int client = make_dir(fs, top, names->client, made);
	int file = client < 0 ? -1 : make_dir(fs, client, names->file, made);

	ft_sys_close(client);
	return file;
}

int fs_make_pair(struct fs *fs, int top, const struct fs_names *names, bool *made)
{
	int file = make_pair(fs, top, names, made);

	/* Where the client's directory was empty, its last transfer may just have taken it away. */
	for (int i = 0; file < 0 && errno == ENOENT && i < MAKE_ATTEMPTS; i++)
		file = make_pair(fs, top, names, made);
	if (file < 0)
		fs_remove_pair(fs, top, names);
	return file;
}

void fs_remove_pair(struct fs *fs, int top, const struct fs_names *names)
{
	int saved = errno;
	int client = fs_open_dir(fs, top, names->client);

	if (client >= 0) {
		(void)ft_sys_unlinkat(client, names->file, AT_REMOVEDIR);
		ft_sys_close(client);
		(void)ft_sys_unlinkat(top, names->client, AT_REMOVEDIR);
	}
	errno = saved;
}

bool fs_sync_dirs(struct fs *fs, int top, const struct fs_names *names, int dir)
{
	int client;
	bool done;

	if (ft_sys_fsync(dir) != 0)
		return false;
	client = fs_open_dir(fs, top, names->client);
	done = client >= 0 && ft_sys_fsync(client) == 0 && ft_sys_fsync(top) == 0;
	ft_sys_close(client);
	return done;
}

bool fs_is_same(int dir, const char *name, int fd)
{
	struct stat there, here;

	if (ft_sys_fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) != 0 ||
	    ft_sys_fstat(fd, &here) != 0)
		return false;
	errno = ENOENT;
	return S_ISREG(there.st_mode) && there.st_ino == here.st_ino &&
		there.st_dev == here.st_dev;
}

/* --- text --- */

enum ft_status fs_read_all_text(int fd, char **text, size_t *len)
{
	struct stat file;
	ssize_t got;
	char *room;

	if (ft_sys_fstat(fd, &file) != 0)
		return ft_sys_status(errno);
	if (!S_ISREG(file.st_mode) || file.st_size == 0 || (uint64_t)file.st_size > FS_TEXT_MAX)
		return FT_DAMAGED;
	room = malloc((size_t)file.st_size + 1);
	if (!room)
		return FT_NO_MEMORY;
	got = ft_sys_read_all(fd, room, (size_t)file.st_size, 0);
	if (got < 0) {
		free(room);
		return ft_sys_status(errno);
	}
	room[got] = '\0';
	*text = room;
	*len = (size_t)got;
	return FT_OK;
}

enum ft_status fs_read_text(struct fs *fs, int dir, const char *name, char **text, size_t *len)
{
	/* O_NONBLOCK: what lies there might be a FIFO. */
	int fd = fs_open_at(fs, dir, name, O_RDONLY | O_NONBLOCK);
	enum ft_status st;

	if (fd < 0)
		return errno == ELOOP ? FT_DAMAGED : ft_sys_status(errno);
	st = fs_read_all_text(fd, text, len);
	ft_sys_close(fd);
	return st;
}

/* --- reports --- */

static const char *remedy(int error)
{
	switch (error) {
	case ENOSPC:
		return " (free space where storage_dir is)";
	case EACCES:
	case EPERM:
		return " (the broker's user must own storage_dir and all in it)";
	case EMFILE:
	case ENFILE:
		return " (raise the limit of open files)";
	case EROFS:
	case EIO:
		return " (check the disk and the kernel's log)";
	default:
		return "";
	}
}

/* A full disk meets every segment of every client; one line a second says so as well. */
static bool just_said(struct fs *fs, int error)
{
	int64_t now = ft_clock_ms();

	if (atomic_load(&fs->complaint) == error &&
	    now - atomic_load(&fs->complained_ms) < QUIET_MS)
		return true;
	atomic_store(&fs->complaint, error);
	atomic_store(&fs->complained_ms, now);
	return false;
}

static void complain(struct fs *fs, const char *what, const struct fs_names *names, int error)
{
	char room[FT_ERROR_ROOM];

	if (!just_said(fs, error))
		ft_logger_printf(fs->log, FT_LOG_ERROR, "cannot %s/%s/%s: %s%s", what, names->client,
			      names->file, ft_error_text(error, room), remedy(error));
	errno = error;
}

enum ft_status fs_failed(struct fs *fs, const char *what, const struct fs_names *names)
{
	complain(fs, what, names, errno);
	return ft_sys_status(errno);
}

enum ft_status fs_sync_failed(struct fs *fs, const char *what, const struct fs_names *names)
{
	complain(fs, what, names, errno);
	return FT_IO_ERROR;
}

static enum ft_status move_to_damaged(struct fs *fs, int top, const struct fs_names *names,
				      const char *to)
{
	int client = fs_open_dir(fs, top, names->client);
	bool done = client >= 0 && ft_sys_renameat(client, names->file, fs->damaged, to) == 0;

	ft_sys_close(client);
	if (done)
		return FT_OK;
	/* Gone by itself: nobody's to keep. */
	return errno == ENOENT ? FT_NO_SUCH_TRANSFER
		: fs_failed(fs, "set aside the damaged incoming", names);
}

enum ft_status fs_set_aside_pair(struct fs *fs, int top, const struct fs_names *names,
				 const char *why)
{
	char to[FT_UUID_ROOM];
	enum ft_status st;
	bool finished;

	/* A manifest that stayed behind in files/ would make the key look finished. */
	if (top == fs->incoming && (st = fs_clear_stale(fs, names, &finished)) != FT_OK)
		return st;
	ft_uuid(to);
	if ((st = move_to_damaged(fs, top, names, to)) != FT_OK)
		return st;
	fs_remove_pair(fs, top, names);
	ft_logger_printf(fs->log, FT_LOG_ERROR, "%s/%s/%s was damaged (%s) and is now damaged/%s",
		      top == fs->files ? "files" : "incoming", names->client, names->file, why,
		      to);
	return FT_OK;
}

enum ft_status fs_damaged(struct fs *fs, int top, const struct fs_names *names, const char *why)
{
	fs_lock(fs, names);
	(void)fs_set_aside_pair(fs, top, names, why);
	fs_unlock(fs, names);
	return FT_DAMAGED;
}
