/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What earlier processes left: half-made things go, bytes that nobody knows go to damaged/. */
#include "base/system.h"
#include "store/fs/fs.h"

#define SWEEP_TRASH "trash"	/* of the former format: on their way out */
#define SWEEP_DEPTH 8

/* --- getting rid of things --- */

enum ft_status fs_set_aside(struct fs *fs, int dir, const char *name, const char *place,
			    const char *why)
{
	char uuid[FT_UUID_ROOM], to[sizeof FS_DAMAGED "/" + FT_UUID_ROOM];
	struct ft_buf buf = ft_buf_on(to, sizeof to);

	ft_uuid(uuid);
	ft_buf_str(&buf, FS_DAMAGED "/");
	ft_buf_str(&buf, uuid);
	if (ft_sys_renameat(dir, name, fs->root, to) != 0) {
		if (errno == ENOENT)
			fs_top_make(fs, FS_DAMAGED);
		if (ft_sys_renameat(dir, name, fs->root, to) != 0)
			return errno == ENOENT ? FT_OK	/* gone by itself: nobody's to keep */
				: fs_failed(fs, "move to " FS_DAMAGED, place);
	}
	ft_logger_printf(fs->logger, FT_LOG_WARNING, "%s is now %s: %s", place, to, why);
	return FT_OK;
}

static enum ft_status sweep_remove(void *context, int dir, const char *name)
{
	unsigned *depth = context;
	enum ft_status st;
	int fd;

	if (ft_sys_unlinkat(dir, name, 0) == 0 || errno != EISDIR || *depth == SWEEP_DEPTH)
		return FT_OK;
	++*depth;
	st = fs_dir_open(dir, name, &fd);
	if (st == FT_OK)
		st = fs_each(&fd, sweep_remove, depth);
	--*depth;
	(void)ft_sys_unlinkat(dir, name, AT_REMOVEDIR);
	return st == FT_NO_MEMORY ? st : FT_OK;
}

void fs_remove_tree(int dir, const char *name)
{
	unsigned depth = 0;
	enum ft_status st = sweep_remove(&depth, dir, name);

	(void)st;	/* what stays is swept again after the next start */
}

/* --- the walk --- */

struct sweep {
	struct fs *fs;
	ft_store_is_known *is_known;
	void *context;
	struct fs_names names;
};

static bool sweep_knows(struct sweep *s)
{
	return s->is_known(s->context, s->names.client, s->names.file);
}

/* One transfer's bytes in incoming/. */
static enum ft_status sweep_incoming_file(void *context, int dir, const char *name)
{
	struct sweep *s = context;
	char place[FS_PATH_ROOM];
	struct stat info;
	bool is_file;

	memcpy(s->names.file, name, strlen(name) + 1);
	if (ft_sys_fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return FT_OK;
	is_file = S_ISREG(info.st_mode);
	if (is_file && sweep_knows(s))
		return FT_OK;
	fs_path(place, FS_INCOMING, &s->names);
	return fs_set_aside(s->fs, dir, name, place, is_file
			    ? "its transfer is not known any more"
			    : "unfinished transfers of the former version cannot be continued");
}

static enum ft_status sweep_tmp_file(void *context, int dir, const char *name)
{
	struct sweep *s = context;
	enum ft_status st;

	(void)dir;
	memcpy(s->names.file, name, strlen(name) + 1);
	/* Of what is known, the next upload_open() takes it back. */
	if (sweep_knows(s))
		return FT_OK;
	st = fs_restore(s->fs, &s->names);
	return st == FT_NO_SUCH_TRANSFER ? FT_OK : st;
}

/* A directory of one client, in which `visit` looks at each transfer. */
static enum ft_status sweep_client(struct sweep *s, const char *top, int dir, const char *name,
				   fs_visit *visit)
{
	char place[FS_PATH_ROOM];
	enum ft_status st;
	int fd;

	memcpy(s->names.client, name, strlen(name) + 1);
	st = fs_dir_open(dir, name, &fd);
	if (st == FT_IO_ERROR && (errno == ENOTDIR || errno == ELOOP)) {
		fs_client_path(place, top, &s->names);
		return fs_set_aside(s->fs, dir, name, place, "it is nothing of ours");
	}
	if (st == FT_OK)
		st = fs_each(&fd, visit, s);
	fs_client_remove(s->fs, top, &s->names);
	return st == FT_NO_SUCH_TRANSFER ? FT_OK : st;
}

static enum ft_status sweep_incoming(void *context, int dir, const char *name)
{
	return sweep_client(context, FS_INCOMING, dir, name, sweep_incoming_file);
}

/* Names with a dot are of a process; others are of a client. */
static enum ft_status sweep_tmp(void *context, int dir, const char *name)
{
	struct sweep *s = context;
	char room[FT_NAME_ROOM];
	struct ft_buf own = ft_buf_on(room, sizeof room);
	struct stat info;
	int fd;

	ft_buf_printf(&own, ".%08x-", s->fs->run);
	if (strncmp(name, room, own.len) == 0)
		return FT_OK;
	if (name[0] != '.')
		return sweep_client(s, FS_TMP, dir, name, sweep_tmp_file);
	if (ft_sys_fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return FT_OK;
	if (!S_ISREG(info.st_mode)) {
		fs_remove_tree(dir, name);
		return FT_OK;
	}
	fd = ft_sys_openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd < 0)
		return FT_OK;
	fs_free_slowly(s->fs, fd, name);
	ft_sys_close(fd);
	return FT_OK;
}

static enum ft_status sweep_top(struct sweep *s, const char *top, fs_visit *visit)
{
	enum ft_status st;
	int fd;

	st = fs_dir_open(s->fs->root, top, &fd);
	if (st == FT_OK)
		st = fs_each(&fd, visit, s);
	if (st == FT_OK || st == FT_NO_SUCH_TRANSFER)
		return FT_OK;
	return st == FT_NO_MEMORY ? st : fs_failed(s->fs, "read", top);
}

enum ft_status fs_sweep(struct ft_store *store, ft_store_is_known *is_known, void *context)
{
	struct sweep s = { .fs = fs_of(store), .is_known = is_known, .context = context };
	enum ft_status st, first;

	/* From tmp/ unknown bytes go to incoming/, and from there to damaged/. */
	first = sweep_top(&s, FS_TMP, sweep_tmp);
	st = sweep_top(&s, FS_INCOMING, sweep_incoming);
	fs_remove_tree(s.fs->root, SWEEP_TRASH);
	return first == FT_OK ? st : first;
}
