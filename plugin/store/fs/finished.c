/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Finished files: files/<client>/<file>/<name> with <name>.manifest.json beside it.
 *
 * Consumers take either away at any time and put there what they like. So nothing that
 * lies there is an error: what is none of ours is passed over.
 */
#include <assert.h>

#include "store/fs/fs.h"

enum ft_status fs_find(struct ft_store *store, const struct ft_key *key, const char *name)
{
	struct fs *fs = fs_of(store);
	char manifest[FS_MANIFEST_ROOM];
	struct fs_names names;
	struct stat info;
	enum ft_status st;
	int dir;

	fs_names_of(fs, &names, key);
	fs_manifest_name(manifest, name);
	if ((st = fs_place_open(fs, FS_FILES, &names, &dir)) != FT_OK)
		return st;
	if (ft_sys_fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0
	    && (errno != ENOENT
		|| ft_sys_fstatat(dir, manifest, &info, AT_SYMLINK_NOFOLLOW) != 0))
		st = errno == ENOENT ? FT_NO_SUCH_TRANSFER
				     : fs_place_failed(fs, "look into", FS_FILES, &names);
	ft_sys_close(dir);
	return st;
}

enum ft_status fs_read_manifest(struct ft_store *store, const struct ft_key *key, const char *name,
				char **text, size_t *len)
{
	struct fs *fs = fs_of(store);
	char manifest[FS_MANIFEST_ROOM];
	struct fs_names names;
	enum ft_status st;
	int dir;

	fs_names_of(fs, &names, key);
	fs_manifest_name(manifest, name);
	if ((st = fs_place_open(fs, FS_FILES, &names, &dir)) != FT_OK)
		return st;
	st = fs_manifest_read(dir, manifest, text, len);
	ft_sys_close(dir);
	return st;
}

enum ft_status fs_read_finished(struct ft_store *store, const struct ft_key *key,
				const char *name, uint64_t offset, void *buffer, size_t len)
{
	struct fs *fs = fs_of(store);
	struct fs_names names;
	struct stat info;
	enum ft_status st;
	ssize_t got;
	int dir, fd;

	assert(name[0] != '\0' && !strchr(name, '/'));
	fs_names_of(fs, &names, key);
	if ((st = fs_place_open(fs, FS_FILES, &names, &dir)) != FT_OK)
		return st;
	st = fs_file_open(dir, name, &fd, &info);
	ft_sys_close(dir);
	if (st == FT_NO_SUCH_TRANSFER)
		return st;
	got = st == FT_OK ? ft_sys_read_all(fd, buffer, len, offset) : -1;
	if (got >= 0)
		errno = EIO;
	ft_sys_close(fd);
	if (got == (ssize_t)len)
		return FT_OK;
	return fs_place_failed(fs, "read the file in", FS_FILES, &names);
}

enum ft_status fs_link_finished(struct ft_store *store, const struct ft_key *key, const char *name,
				int to_dir, const char *to)
{
	struct fs *fs = fs_of(store);
	enum ft_status st;
	struct fs_names names;
	struct stat info;
	int dir, fd = -1;

	fs_names_of(fs, &names, key);
	if ((st = fs_place_open(fs, FS_FILES, &names, &dir)) != FT_OK)
		return st;
	/* A consumer's link is none of our files. */
	if ((st = fs_file_open(dir, name, &fd, &info)) == FT_OK
	    && ft_sys_linkat(dir, name, to_dir, to, 0) != 0) {
		if (errno == EEXIST)
			st = FT_ALREADY_COMPLETE;
		else if (errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP)
			st = FT_NAME_REFUSED;
		else
			st = ft_sys_status(errno);
	}
	ft_sys_close(fd);
	ft_sys_close(dir);
	return st;
}

/* --- removing --- */

/* From so many on one syncfs() is cheaper than their fsyncs, see publish.c. */
#define FINISHED_TOGETHER 4

/* One file on its way out. */
struct finished_removing {
	struct fs *fs;
	struct ft_removal *what;
	struct fs_names names;
	int dir;			/* files/<client>/<file>; -1: there is none */
};

static void finished_remove_failed(struct finished_removing *r)
{
	r->what->status = fs_place_failed(r->fs, "remove the file in", FS_FILES, &r->names);
}

/* A directory of that name is a consumer's. */
static void finished_unlink(struct finished_removing *r, const char *name)
{
	if (r->dir >= 0 && r->what->status == FT_OK && ft_sys_unlinkat(r->dir, name, 0) != 0
	    && errno != ENOENT && errno != EISDIR)
		finished_remove_failed(r);
}

static void finished_remove_file(struct finished_removing *r)
{
	fs_names_of(r->fs, &r->names, &r->what->key);
	r->what->status = fs_place_open(r->fs, FS_FILES, &r->names, &r->dir);
	if (r->what->status == FT_NO_SUCH_TRANSFER)
		r->what->status = FT_OK;
	finished_unlink(r, r->what->name);
}

static void finished_sync(struct finished_removing *r)
{
	if (r->dir >= 0 && r->what->status == FT_OK && ft_sys_fsync(r->dir) != 0)
		finished_remove_failed(r);
}

static void finished_remove_manifest(struct finished_removing *r)
{
	char manifest[FS_MANIFEST_ROOM];

	fs_manifest_name(manifest, r->what->name);
	finished_unlink(r, manifest);
	ft_sys_close(r->dir);
	fs_place_remove(r->fs, FS_FILES, &r->names);
}

/*
 * The files first, and for good: after a power cut, too, none is there without its manifest, as
 * nobody's file that is in the way.
 */
void fs_remove_finished(struct ft_store *store, struct ft_removal *removals, size_t count)
{
	struct fs *fs = fs_of(store);
	bool durable = fs->durability != FT_DURABILITY_NONE;
	struct finished_removing *all = calloc(count, sizeof *all);
	size_t there = 0;		/* directories that are; what consumers took needs no sync */

	for (size_t i = 0; i < count; i++) {
		removals[i].status = FT_NO_MEMORY;
		if (all)
			all[i] = (struct finished_removing){ .fs = fs, .what = &removals[i], .dir = -1 };
	}
	for (size_t i = 0; all && i < count; i++)
		finished_remove_file(&all[i]);
	for (size_t i = 0; all && i < count; i++)
		there += all[i].dir >= 0;
	if (durable && there > 0 && !(there >= FINISHED_TOGETHER && ft_sys_syncfs(fs->root) == 0))
		for (size_t i = 0; i < count; i++)
			finished_sync(&all[i]);
	for (size_t i = 0; all && i < count; i++)
		finished_remove_manifest(&all[i]);
	free(all);
}

/* --- all of them --- */

/* One walk over files/. */
struct finished_walk {
	struct fs *fs;
	ft_store_visit *visit;
	void *context;
	char client[FT_NAME_ROOM];
	char file[FT_NAME_ROOM];
	enum { FINISHED_GOES_ON, FINISHED_ENDED } state;
};

static void finished_pass_over(struct finished_walk *walk, const char *name, const char *why)
{
	ft_logger_printf(walk->fs->logger, FT_LOG_NOTICE, FS_FILES "/%s/%s%s%s is passed over: %s",
			 walk->client, walk->file, name[0] ? "/" : "", name, why);
}

/* A file beside which there is no manifest. */
static enum ft_status finished_lone(struct finished_walk *walk, int dir, const char *name)
{
	char place[FS_PATH_ROOM + FT_NAME_ROOM], manifest[FS_MANIFEST_ROOM];
	struct ft_store_found found = {
		.place = place, .owner_name = walk->client, .file_name = walk->file, .name = name,
	};
	struct ft_buf text = ft_buf_on(place, sizeof place);
	struct stat info;

	fs_manifest_name(manifest, name);
	if (ft_sys_fstatat(dir, manifest, &info, AT_SYMLINK_NOFOLLOW) == 0
	    || ft_sys_fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
		return FT_OK;
	found.size = (uint64_t)info.st_size;
	ft_buf_printf(&text, FS_FILES "/%s/%s/%s", walk->client, walk->file, name);
	if (walk->visit(walk->context, &found))
		return FT_OK;
	walk->state = FINISHED_ENDED;
	return FT_CANCELLED;
}

static enum ft_status finished_entry(void *context, int dir, const char *manifest)
{
	struct finished_walk *walk = context;
	char name[FT_NAME_ROOM], place[FS_PATH_ROOM + FT_NAME_ROOM];
	struct ft_store_found found = {
		.place = place, .owner_name = walk->client, .file_name = walk->file, .name = name,
	};
	struct ft_buf text = ft_buf_on(place, sizeof place);
	enum ft_status st;
	struct stat info;
	char *read;

	if (!fs_manifest_owner(name, manifest))
		return finished_lone(walk, dir, manifest);
	st = fs_manifest_read(dir, manifest, &read, &found.manifest_len);
	if (st == FT_NO_MEMORY || st == FT_BUSY)
		return st;
	if (st != FT_OK) {
		finished_pass_over(walk, manifest, "it cannot be read, or is no manifest of ours");
		return FT_OK;
	}
	if (ft_sys_fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
		found.size = (uint64_t)info.st_size;
	else
		found.size = FT_STORE_TAKEN;
	found.manifest = read;
	ft_buf_printf(&text, FS_FILES "/%s/%s/%s", walk->client, walk->file, name);
	if (!walk->visit(walk->context, &found))
		walk->state = FINISHED_ENDED;
	free(read);
	return walk->state == FINISHED_ENDED ? FT_CANCELLED : FT_OK;
}

/* What is no directory is none of ours, and what is gone by now neither. */
static enum ft_status finished_enter(struct finished_walk *walk, int dir, const char *name,
				     fs_visit *visit)
{
	enum ft_status st;
	int fd;

	st = fs_dir_open(dir, name, &fd);
	if (st == FT_OK)
		st = fs_each(&fd, visit, walk);
	if (walk->state == FINISHED_ENDED)
		return FT_CANCELLED;
	if (st != FT_IO_ERROR)
		return st == FT_NO_SUCH_TRANSFER ? FT_OK : st;
	finished_pass_over(walk, "", "it is no directory, or cannot be read");
	return FT_OK;
}

static enum ft_status finished_file(void *context, int dir, const char *name)
{
	struct finished_walk *walk = context;

	memcpy(walk->file, name, strlen(name) + 1);
	return finished_enter(walk, dir, name, finished_entry);
}

static enum ft_status finished_client(void *context, int dir, const char *name)
{
	struct finished_walk *walk = context;

	memcpy(walk->client, name, strlen(name) + 1);
	walk->file[0] = '\0';
	return finished_enter(walk, dir, name, finished_file);
}

enum ft_status fs_list_finished(struct ft_store *store, ft_store_visit *visit, void *context)
{
	struct fs *fs = fs_of(store);
	struct finished_walk walk = { .fs = fs, .visit = visit, .context = context };
	enum ft_status st;
	int fd;

	st = fs_dir_open(fs->root, FS_FILES, &fd);
	if (st == FT_OK)
		st = fs_each(&fd, finished_client, &walk);
	return st == FT_OK || st == FT_NO_MEMORY ? st : fs_failed(fs, "read", FS_FILES);
}
