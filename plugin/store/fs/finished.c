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

enum ft_status fs_remove_finished(struct ft_store *store, const struct ft_key *key,
				  const char *name)
{
	struct fs *fs = fs_of(store);
	char manifest[FS_MANIFEST_ROOM];
	struct fs_names names;
	enum ft_status st;
	int dir;

	fs_names_of(fs, &names, key);
	fs_manifest_name(manifest, name);
	st = fs_place_open(fs, FS_FILES, &names, &dir);
	if (st != FT_OK)
		return st == FT_NO_SUCH_TRANSFER ? FT_OK : st;
	/*
	 * The file first, and for good: after a power cut, too, it is never there without its
	 * manifest, as nobody's file that is in the way. A directory is a consumer's.
	 */
	if ((ft_sys_unlinkat(dir, name, 0) != 0 && errno != ENOENT && errno != EISDIR)
	    || (fs->durability != FT_DURABILITY_NONE && ft_sys_fsync(dir) != 0)
	    || (ft_sys_unlinkat(dir, manifest, 0) != 0 && errno != ENOENT && errno != EISDIR))
		st = fs_place_failed(fs, "remove the file in", FS_FILES, &names);
	ft_sys_close(dir);
	fs_place_remove(fs, FS_FILES, &names);
	return st;
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
		return FT_OK;
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
