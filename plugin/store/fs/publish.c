/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Publishing: the file and its manifest become visible together, with all their bytes.
 *
 * Nothing under files/<client>/<file>/ yet (nearly always): a directory is built aside, in
 * tmp/, with file and manifest in it, and one rename puts it into its place.
 *
 *	prepare		aside is made, with the manifest, and the bytes if they come from memory
 *	sync		bytes, manifest, the names that lead to them
 *	gather		the bytes of an upload: incoming/... -> aside
 *	sync		aside
 *	place		aside -> files/<client>/<file>
 *	sync		files/<client>, files
 *
 * There is such a directory, with what consumers put there or with the former file that
 * is to be replaced: the manifest and then the file are renamed into it one by one.
 *
 * With durability none nothing is synced. Several publications take these steps side by
 * side and share the waits for the disk; each goes on as long as it has no error.
 *
 * AFTER A CRASH, by what was the last step:
 *
 *	gather		the bytes are in tmp/<client>/<file>/: fs_restore() takes them back
 *	manifest placed	but not the file: the bytes are in incoming/ or come again from memory;
 *			the manifest with this transfer's id in it changes nothing
 *	place		publish() is called again, finds its own file and says FT_OK
 */
#include <assert.h>

#include "store/fs/fs.h"

/*
 * From so many on one syncfs() is cheaper than their fsyncs: a journal's commit and a flush
 * of the disk's cache each. It also waits for what others have written meanwhile, which a
 * few would not be worth.
 */
#define PUBLISH_TOGETHER 4

#define PUBLISH_STEP ((size_t)16 * 1024)

#define PUBLISH_START (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE)
#define PUBLISH_WAIT (PUBLISH_START | SYNC_FILE_RANGE_WAIT_AFTER)

/* One publication on its way. */
struct publishing {
	struct fs *fs;
	struct ft_publication *what;
	struct fs_upload *upload;	/* NULL: the bytes come from memory, or are */
	struct fs_upload *link;		/* ... a link to a finished file; else NULL */
	enum ft_status status;
	enum {
		PUBLISH_BEGUN,
		PUBLISH_GATHERED,	/* an upload's bytes are aside */
		PUBLISH_WHOLE,		/* visible: `aside` has become `place` */
		PUBLISH_INTO,		/* visible: in the directory that was there */
		PUBLISH_OVER,		/* visible: so, and a file of that name is gone */
		PUBLISH_THERE,		/* was there already, perhaps not yet durable */
	} state;
	unsigned attempts;		/* to place it */
	struct fs_names names;
	char manifest[FS_MANIFEST_ROOM];
	char place[FS_PATH_ROOM];	/* files/<client>/<file> */
	char temporary[FS_PATH_ROOM];	/* tmp/.<run>-<n> */
	const char *aside;		/* the directory aside: in tmp/<client>, else `temporary` */
	int aside_parent;		/* of an upload: tmp/<client> */
	int aside_fd;			/* -1: there is none (any more) */
	int from_fd;			/* of an upload: incoming/<client> */
	int place_fd;			/* -1: there is nothing yet */
	int data_fd;			/* the upload's, or our own */
	int manifest_fd;
};

static enum ft_status publish_failed(struct publishing *p, const char *what)
{
	return fs_failed(p->fs, what, p->place);
}

static enum ft_status publish_sync_failed(struct publishing *p)
{
	p->what->bytes_lost = true;
	return fs_sync_failed(p->fs, p->place);
}

/* --- what lies there --- */

/* Looking through files/<client>/<file>/ for a finished file that is not ours. */
struct publish_search {
	const struct publishing *p;
	enum { PUBLISH_LOOK, PUBLISH_REMOVE } mode;
	enum { PUBLISH_NO_OTHER, PUBLISH_OTHER } found;
};

/* FT_OK: there is something of that name; FT_NO_SUCH_TRANSFER: there is nothing. */
static enum ft_status publish_exists(int dir, const char *name)
{
	struct stat info;

	return ft_sys_fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? FT_OK
		: ft_sys_status(errno);
}

/* A finished file is one that has its manifest beside it. */
static enum ft_status publish_see(void *context, int dir, const char *manifest)
{
	struct publish_search *search = context;
	char name[FT_NAME_ROOM];
	enum ft_status st;

	if (!fs_manifest_owner(name, manifest) || strcmp(name, search->p->what->name) == 0)
		return FT_OK;
	if ((st = publish_exists(dir, name)) != FT_OK)
		return st == FT_NO_SUCH_TRANSFER ? FT_OK : st;
	search->found = PUBLISH_OTHER;
	/* The file first: without its manifest nobody would find what is left. */
	if (search->mode == PUBLISH_REMOVE && (ft_sys_unlinkat(dir, name, 0) != 0
					       || ft_sys_unlinkat(dir, manifest, 0) != 0))
		return ft_sys_status(errno);
	return FT_OK;
}

static enum ft_status publish_look_for_others(struct publishing *p, struct publish_search *search)
{
	enum ft_status st;
	int fd;

	/* A stream of its own: reading moves the position of the descriptor. */
	st = fs_dir_open(p->place_fd, ".", &fd);
	if (st == FT_OK)
		st = fs_each(&fd, publish_see, search);
	if (st == FT_OK || st == FT_NO_SUCH_TRANSFER)
		return FT_OK;
	return publish_failed(p, "read");
}

/* Whether the manifest in files/ is that of this very transfer. */
static enum ft_status publish_owns_manifest(struct publishing *p, bool *owns)
{
	enum ft_status st;
	char *text;
	size_t len;

	st = fs_manifest_read(p->place_fd, p->manifest, &text, &len);
	*owns = st == FT_OK && memmem(text, len, p->what->transfer_id,
				      strlen(p->what->transfer_id)) != NULL;
	free(text);
	if (st == FT_OK || st == FT_NO_SUCH_TRANSFER || st == FT_DAMAGED)
		return FT_OK;
	return st == FT_NO_MEMORY ? st : publish_failed(p, "read the manifest in");
}

/* Whether a file has these bytes and no more. */
static enum ft_status publish_compare(int fd, const char *bytes, uint64_t len, bool *same)
{
	char step[PUBLISH_STEP];
	ssize_t got = 0;

	*same = true;
	for (uint64_t at = 0; *same && at < len; at += (uint64_t)got) {
		size_t want = len - at < sizeof step ? (size_t)(len - at) : sizeof step;

		if ((got = ft_sys_read_all(fd, step, want, at)) < 0)
			return ft_sys_status(errno);
		*same = (size_t)got == want && memcmp(step, bytes + at, want) == 0;
	}
	return FT_OK;
}

/* Whether the file in files/ has the bytes that came from memory, or at least as many. */
static enum ft_status publish_owns_bytes(struct publishing *p, bool *owns)
{
	struct stat info;
	enum ft_status st;
	int fd;

	*owns = false;
	st = fs_file_open(p->place_fd, p->what->name, &fd, &info);
	if (st != FT_OK)
		return st == FT_NO_SUCH_TRANSFER ? FT_OK : publish_failed(p, "open the file in");
	*owns = (uint64_t)info.st_size == p->what->size;
	if (*owns && p->what->bytes
	    && publish_compare(fd, p->what->bytes, p->what->size, owns) != FT_OK)
		st = publish_failed(p, "read the file in");
	ft_sys_close(fd);
	return st;
}

/* Whether an upload's bytes are where they belong, or already where they are to go. */
static enum ft_status publish_find_upload(struct publishing *p, bool *owns)
{
	enum fs_same same = FS_ABSENT;
	char path[FS_PATH_ROOM];
	enum ft_status st;

	*owns = false;
	fs_client_path(path, FS_INCOMING, &p->names);
	st = fs_dir_open(p->fs->root, path, &p->from_fd);
	if (st != FT_OK && st != FT_NO_SUCH_TRANSFER)
		return fs_failed(p->fs, "open", path);
	if (st == FT_OK)
		same = fs_compare(p->from_fd, p->names.file, p->data_fd);
	if ((same == FS_OTHER || same == FS_ABSENT) && p->place_fd >= 0) {
		same = fs_compare(p->place_fd, p->what->name, p->data_fd);
		*owns = same == FS_SAME;
	}
	if (same == FS_SAME)
		return FT_OK;
	if (same == FS_FAILED)
		return publish_failed(p, "look for the bytes of");
	ft_logger_printf(p->fs->logger, FT_LOG_ERROR, "%s/%s was removed by somebody before it was "
			 "published: the client must send it again", path, p->names.file);
	return FT_NO_SUCH_TRANSFER;
}

/* It is there already. Whether it is durable only its former process knew, so it is synced again. */
static enum ft_status publish_take_over(struct publishing *p)
{
	struct stat info;

	p->state = PUBLISH_THERE;
	/* What a consumer has taken meanwhile needs no sync. */
	if (!p->upload && fs_file_open(p->place_fd, p->what->name, &p->data_fd, &info) != FT_OK)
		p->data_fd = -1;
	if (fs_file_open(p->place_fd, p->manifest, &p->manifest_fd, &info) != FT_OK)
		p->manifest_fd = -1;
	return FT_OK;
}

/* Looks at what is there: nothing, our own file, another finished one, or things of others. */
static enum ft_status publish_look(struct publishing *p)
{
	struct publish_search search = { .p = p };
	bool owns_manifest = false, owns_bytes = false;
	enum ft_status st;

	st = fs_place_open(p->fs, FS_FILES, &p->names, &p->place_fd);
	if (st != FT_OK && st != FT_NO_SUCH_TRANSFER)
		return st;
	if (p->place_fd >= 0 && (st = publish_owns_manifest(p, &owns_manifest)) != FT_OK)
		return st;
	st = p->upload ? publish_find_upload(p, &owns_bytes)
		: p->place_fd >= 0 && owns_manifest ? publish_owns_bytes(p, &owns_bytes) : FT_OK;
	if (st != FT_OK)
		return st;
	/*
	 * A file that was replaced cannot be taken back when an fsync fails. So it may be there,
	 * and its bytes not on the disk, which no later fsync would say.
	 */
	if (owns_bytes && !(p->what->bytes && p->what->mode == FT_PUBLISH_REPLACE))
		return publish_take_over(p);
	if (p->what->mode == FT_PUBLISH_ASK
	    || (!p->upload && !p->link && !p->what->bytes && p->what->size > 0))
		return FT_NO_SUCH_TRANSFER;
	if (p->place_fd < 0 || p->what->mode == FT_PUBLISH_REPLACE)
		return FT_OK;
	st = owns_manifest ? FT_NO_SUCH_TRANSFER : publish_exists(p->place_fd, p->what->name);
	if (st != FT_NO_SUCH_TRANSFER)
		return st == FT_OK ? FT_ALREADY_COMPLETE : publish_failed(p, "look into");
	if ((st = publish_look_for_others(p, &search)) != FT_OK)
		return st;
	return search.found == PUBLISH_OTHER ? FT_ALREADY_COMPLETE : FT_OK;
}

/* --- prepare --- */

static enum ft_status publish_cut(struct publishing *p)
{
	uint64_t size = p->what->size;
	struct stat info;

	if (ft_sys_fstat(p->data_fd, &info) != 0)
		return publish_failed(p, "look at the bytes for");
	if ((uint64_t)info.st_size < size) {
		errno = EIO;
		return publish_failed(p, "publish (bytes are missing)");
	}
	if ((uint64_t)info.st_size > size && ft_sys_ftruncate(p->data_fd, (off_t)size) != 0)
		return publish_failed(p, "cut the bytes for");
	return FT_OK;
}

static enum ft_status publish_write(struct publishing *p, const char *name, const void *bytes,
				    size_t len, int *fd)
{
	*fd = ft_sys_openat(p->aside_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    FS_FILE_MODE);
	if (*fd < 0 && (errno == ENAMETOOLONG || errno == EINVAL || errno == EILSEQ))
		return FT_NAME_REFUSED;
	if (*fd < 0 || ft_sys_set_mode(*fd, FS_FILE_MODE) != 0
	    || !ft_sys_write_all(*fd, bytes, len, 0))
		return publish_failed(p, "write");
	return FT_OK;
}

/* Makes the directory aside: tmp/<client>/<file> for an upload, so that a crash tells whose it is. */
static enum ft_status publish_make_aside(struct publishing *p)
{
	struct fs *fs = p->fs;
	enum ft_status st = FT_NO_SUCH_TRANSFER;

	p->aside = p->upload ? p->names.file : p->temporary;
	if (!p->upload)
		(void)fs_temporary_path(fs, p->temporary);
	for (int i = 0; st == FT_NO_SUCH_TRANSFER && fs_may_try(i); i++) {
		if (p->upload) {
			ft_sys_close(p->aside_parent);
			st = fs_client_make(fs, FS_TMP, &p->names, &p->aside_parent);
			if (st != FT_OK)
				return st;
		} else {
			p->aside_parent = fs->root;
			if (i > 0)
				fs_top_make(fs, FS_TMP);
		}
		st = fs_dir_make(p->aside_parent, p->aside, &p->aside_fd);
		if (st == FT_ALREADY_COMPLETE) {	/* a crash left it */
			fs_remove_tree(p->aside_parent, p->aside);
			st = fs_dir_make(p->aside_parent, p->aside, &p->aside_fd);
		}
	}
	return st == FT_OK ? FT_OK : publish_failed(p, "make a directory for");
}

/* The link goes aside. It is only read, and has just the size that was verified. */
static enum ft_status publish_take_link(struct publishing *p)
{
	char path[FS_PATH_ROOM];
	struct stat info;

	snprintf(path, sizeof path, FS_TMP "/%s", p->link->discarded);
	if (ft_sys_renameat(p->fs->root, path, p->aside_fd, p->what->name) != 0)
		return publish_failed(p, "place a link for");
	p->link->discarded[0] = '\0';
	if (fs_file_open(p->aside_fd, p->what->name, &p->data_fd, &info) != FT_OK
	    || (uint64_t)info.st_size != p->what->size)
		return FT_NO_SUCH_TRANSFER;
	return FT_OK;
}

static enum ft_status publish_fill(struct publishing *p)
{
	enum ft_status st;
	int client;

	if ((st = publish_make_aside(p)) != FT_OK)
		return st;
	if (p->upload) {
		if ((st = fs_client_make(p->fs, FS_FILES, &p->names, &client)) != FT_OK)
			return st;
		ft_sys_close(client);
	}
	if (p->link && (st = publish_take_link(p)) != FT_OK)
		return st;
	if (!p->upload && !p->link && (st = publish_write(p, p->what->name, p->what->bytes,
					      (size_t)p->what->size, &p->data_fd)) != FT_OK)
		return st;
	return publish_write(p, p->manifest, p->what->manifest, p->what->manifest_len,
			     &p->manifest_fd);
}

static enum ft_status publish_prepare(struct publishing *p)
{
	enum ft_status st;

	fs_names_of(p->fs, &p->names, &p->what->key);
	fs_path(p->place, FS_FILES, &p->names);
	fs_manifest_name(p->manifest, p->what->name);
	if (p->upload) {
		p->data_fd = p->upload->fd;
		assert(strcmp(p->upload->names.file, p->names.file) == 0);
	}
	if ((st = fs_check_name(&p->fs->base, p->what->name)) != FT_OK)
		return st;
	if ((st = publish_look(p)) != FT_OK || p->state == PUBLISH_THERE)
		return st;
	if (p->upload && (st = publish_cut(p)) != FT_OK)
		return st;
	return publish_fill(p);
}

/* --- waits for the disk, one for all or each for itself --- */

static enum ft_status publish_sync(struct publishing *p, int fd)
{
	return fd < 0 || ft_sys_fsync(fd) == 0 ? FT_OK : publish_sync_failed(p);
}

/* Where the directories of an upload are lost, so are its bytes. */
static enum ft_status publish_sync_way(struct publishing *p, const char *top)
{
	enum ft_status st = fs_client_sync(p->fs, top, &p->names);

	p->what->bytes_lost = p->what->bytes_lost || st == FT_IO_ERROR;
	return st;
}

static enum ft_status publish_sync_contents(struct publishing *p)
{
	enum ft_status st;

	/* Its blocks are found now, so that one commit of the journal has both. */
	if (p->manifest_fd >= 0)
		(void)ft_sys_sync_file_range(p->manifest_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	if ((st = publish_sync(p, p->data_fd)) != FT_OK
	    || (st = publish_sync(p, p->manifest_fd)) != FT_OK
	    || (st = publish_sync(p, p->aside_fd)) != FT_OK
	    || !p->upload || p->state == PUBLISH_THERE)
		return st;
	/* Wherever a power cut finds the bytes later, the way to them lasts. */
	if ((st = publish_sync_way(p, FS_INCOMING)) != FT_OK
	    || (st = publish_sync_way(p, FS_TMP)) != FT_OK)
		return st;
	return publish_sync_way(p, FS_FILES);
}

static enum ft_status publish_sync_aside(struct publishing *p)
{
	return p->state == PUBLISH_GATHERED ? publish_sync(p, p->aside_fd) : FT_OK;
}

static enum ft_status publish_sync_names(struct publishing *p)
{
	/* Aside, it was synced before it was placed. */
	enum ft_status st = p->state == PUBLISH_WHOLE ? FT_OK : publish_sync(p, p->place_fd);

	return st == FT_OK ? publish_sync_way(p, FS_FILES) : st;
}

/*
 * syncfs() does not say whose bytes were lost, and only to the first who asks. This does,
 * and without waiting for the journal. Once it has, fsync() keeps silent.
 */
static enum ft_status publish_write_out(struct publishing *p, unsigned how)
{
	if ((p->data_fd < 0 || ft_sys_sync_file_range(p->data_fd, 0, 0, how) == 0)
	    && (p->manifest_fd < 0 || ft_sys_sync_file_range(p->manifest_fd, 0, 0, how) == 0))
		return FT_OK;
	return publish_sync_failed(p);
}

static enum ft_status publish_start_writing(struct publishing *p)
{
	return publish_write_out(p, PUBLISH_START);
}

static enum ft_status publish_wait_written(struct publishing *p)
{
	return publish_write_out(p, PUBLISH_WAIT);
}

typedef enum ft_status publish_step(struct publishing *p);

static void publish_each(struct publishing *all, size_t count, publish_step *step)
{
	for (size_t i = 0; i < count; i++)
		if (all[i].status == FT_OK)
			all[i].status = step(&all[i]);
}

/* Waits once for all. False: each must see for itself. */
static bool publish_sync_together(struct publishing *all, size_t count)
{
	size_t good = 0;

	for (size_t i = 0; i < count; i++)
		good += all[i].status == FT_OK;
	return good >= PUBLISH_TOGETHER && ft_sys_syncfs(all->fs->root) == 0;
}

static void publish_wait(struct publishing *all, size_t count, publish_step *alone)
{
	if (all->fs->durability == FT_DURABILITY_NONE)
		return;
	if (alone == publish_sync_contents && count >= PUBLISH_TOGETHER) {
		/* First all of it on its way, then wait. */
		publish_each(all, count, publish_start_writing);
		publish_each(all, count, publish_wait_written);
	}
	if (!publish_sync_together(all, count))
		publish_each(all, count, alone);
}

/* --- renames --- */

/* The bytes of an upload go to where the rest of the directory is. */
static enum ft_status publish_gather(struct publishing *p)
{
	if (!p->upload || p->place_fd >= 0 || p->state == PUBLISH_THERE)
		return FT_OK;
	if (ft_sys_renameat(p->from_fd, p->names.file, p->aside_fd, p->what->name) != 0)
		return errno == ENAMETOOLONG || errno == EINVAL || errno == EILSEQ
			? FT_NAME_REFUSED : publish_failed(p, "collect the bytes for");
	p->state = PUBLISH_GATHERED;
	return FT_OK;
}

/* A rename to place/name. A directory of somebody that lies there is put out of the way. */
static enum ft_status publish_rename_into(struct publishing *p, int from_dir, const char *from,
					  const char *name)
{
	enum ft_status st;

	if (ft_sys_renameat(from_dir, from, p->place_fd, name) == 0)
		return FT_OK;
	if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST) {
		st = fs_set_aside(p->fs, p->place_fd, name, p->place,
				  "a directory lay where a finished file belongs");
		if (st != FT_OK || ft_sys_renameat(from_dir, from, p->place_fd, name) == 0)
			return st;
	}
	return errno == ENOENT ? FT_NO_SUCH_TRANSFER : publish_failed(p, "place the file in");
}

/* File and manifest, one by one. FT_NO_SUCH_TRANSFER: somebody has removed the directory. */
static enum ft_status publish_place_into(struct publishing *p)
{
	bool over = publish_exists(p->place_fd, p->what->name) != FT_NO_SUCH_TRANSFER;
	enum ft_status st;

	st = publish_rename_into(p, p->aside_fd, p->manifest, p->manifest);
	if (st != FT_OK)
		return st;
	if (p->upload && p->state == PUBLISH_BEGUN)
		st = publish_rename_into(p, p->from_fd, p->names.file, p->what->name);
	else
		st = publish_rename_into(p, p->aside_fd, p->what->name, p->what->name);
	if (st == FT_OK)
		p->state = over ? PUBLISH_OVER : PUBLISH_INTO;
	return st;
}

/* The directory as a whole. FT_NO_SUCH_TRANSFER: again, there is something by now, or less. */
static enum ft_status publish_place_whole(struct publishing *p)
{
	struct fs *fs = p->fs;
	enum ft_status st;
	int client;

	if ((st = fs_client_make(fs, FS_FILES, &p->names, &client)) != FT_OK)
		return st;
	/* An upload's bytes go nowhere from where a power cut could take them. */
	if (p->state == PUBLISH_GATHERED && p->attempts++ > 0
	    && fs->durability != FT_DURABILITY_NONE)
		st = publish_sync_way(p, FS_FILES);
	if (st == FT_OK
	    && ft_sys_renameat(p->aside_parent, p->aside, client, p->names.file) == 0) {
		p->state = PUBLISH_WHOLE;
		p->place_fd = p->aside_fd;
		p->aside_fd = -1;
	} else if (st == FT_OK && (errno == ENOTEMPTY || errno == EEXIST)) {
		st = fs_place_open(fs, FS_FILES, &p->names, &p->place_fd);
		st = st == FT_OK ? FT_NO_SUCH_TRANSFER : st;
	} else if (st == FT_OK && errno == ENOTDIR) {
		st = fs_set_aside(fs, client, p->names.file, p->place,
				  "it was no directory, where only we make some");
		st = st == FT_OK ? FT_NO_SUCH_TRANSFER : st;
	} else if (st == FT_OK) {
		st = errno == ENOENT ? FT_NO_SUCH_TRANSFER : publish_failed(p, "place");
	}
	ft_sys_close(client);
	return st;
}

static enum ft_status publish_place(struct publishing *p)
{
	enum ft_status st = FT_NO_SUCH_TRANSFER;

	if (p->state == PUBLISH_THERE)
		return FT_OK;
	for (int i = 0; st == FT_NO_SUCH_TRANSFER && fs_may_try(i); i++) {
		if (p->place_fd < 0) {
			st = publish_place_whole(p);
			continue;
		}
		st = publish_place_into(p);
		if (st != FT_NO_SUCH_TRANSFER)
			continue;
		ft_sys_close(p->place_fd);
		p->place_fd = -1;
	}
	return st == FT_NO_SUCH_TRANSFER ? publish_failed(p, "place") : st;
}

/* --- the end --- */

/* A finished file of another name that was to be replaced goes when the new one is there. */
static void publish_remove_former(struct publishing *p)
{
	struct publish_search search = { .p = p, .mode = PUBLISH_REMOVE };
	enum ft_status st;

	if (p->what->mode != FT_PUBLISH_REPLACE || p->state == PUBLISH_WHOLE)
		return;
	st = publish_look_for_others(p, &search);
	(void)st;	/* logged; what stays harms nobody */
}

/*
 * An upload's bytes go back to incoming/. Durable, since what they are taken from is removed
 * next, and a power cut may keep just that.
 */
static enum ft_status publish_return(struct fs *fs, int dir, const char *name,
				     const struct fs_names *names)
{
	enum ft_status st;
	int client;

	if ((st = fs_client_make(fs, FS_INCOMING, names, &client)) != FT_OK)
		return st;
	if (ft_sys_renameat(dir, name, client, names->file) != 0)
		st = fs_place_failed(fs, "take the bytes back to", FS_INCOMING, names);
	ft_sys_close(client);
	if (st == FT_OK && fs->durability != FT_DURABILITY_NONE)
		st = fs_client_sync(fs, FS_INCOMING, names);
	return st;
}

/* Takes the file out of a directory again, from where it may have become visible. */
static void publish_take_back(struct publishing *p, int dir)
{
	enum ft_status st = FT_OK;

	if (fs_compare(dir, p->what->name, p->data_fd) != FS_SAME)
		return;
	if (p->upload)
		st = publish_return(p->fs, dir, p->what->name, &p->names);
	else
		(void)ft_sys_unlinkat(dir, p->what->name, 0);
	(void)st;	/* logged; from tmp/ fs_restore() takes it */
}

/* After an error nothing of it stays visible. */
static void publish_withdraw(struct publishing *p)
{
	int dirs[] = { p->place_fd, p->aside_fd };

	for (size_t i = 0; i < 2; i++) {
		if (dirs[i] < 0)
			continue;
		publish_take_back(p, dirs[i]);
		/* A file that cannot be taken back is whole, and keeps its manifest. */
		if (fs_compare(dirs[i], p->what->name, p->data_fd) != FS_SAME
		    && fs_compare(dirs[i], p->manifest, p->manifest_fd) == FS_SAME)
			(void)ft_sys_unlinkat(dirs[i], p->manifest, 0);
	}
	fs_place_remove(p->fs, FS_FILES, &p->names);
}

static void publish_conclude(struct publishing *p)
{
	struct ft_upload *upload = p->what->upload;

	p->what->upload = NULL;
	p->what->status = p->status;
	if (p->status == FT_OK)
		publish_remove_former(p);
	else if (p->state != PUBLISH_THERE && p->state != PUBLISH_OVER)
		publish_withdraw(p);
	if (p->aside_fd >= 0) {
		(void)ft_sys_unlinkat(p->aside_parent, p->aside, AT_REMOVEDIR);
		ft_sys_close(p->aside_fd);
	}
	if (p->upload) {
		ft_sys_close(p->aside_parent);
		ft_sys_close(p->from_fd);
		fs_client_remove(p->fs, FS_TMP, &p->names);
		fs_client_remove(p->fs, FS_INCOMING, &p->names);
		fs_upload_close(&upload);
	} else {
		ft_sys_close(p->data_fd);
		fs_upload_close(&upload);
	}
	ft_sys_close(p->place_fd);
	ft_sys_close(p->manifest_fd);
}

static void publish_begin(struct publishing *p, struct fs *fs, struct ft_publication *what)
{
	struct fs_upload *upload = fs_upload_of(what->upload);

	assert(what->size <= (uint64_t)INT64_MAX && what->transfer_id[0] != '\0');
	*p = (struct publishing){
		.fs = fs,
		.what = what,
		.upload = upload && upload->kind == FS_BYTES ? upload : NULL,
		.link = upload && upload->kind == FS_LINK ? upload : NULL,
		.aside_parent = -1,
		.aside_fd = -1,
		.from_fd = -1,
		.place_fd = -1,
		.data_fd = -1,
		.manifest_fd = -1,
	};
	what->bytes_lost = false;
}

void fs_publish(struct ft_store *store, struct ft_publication *publications, size_t count)
{
	struct publishing *all = calloc(count, sizeof *all);

	if (!all) {
		for (size_t i = 0; i < count; i++) {
			publications[i].status = FT_NO_MEMORY;
			fs_upload_close(&publications[i].upload);
		}
		return;
	}
	for (size_t i = 0; i < count; i++)
		publish_begin(&all[i], fs_of(store), &publications[i]);
	publish_each(all, count, publish_prepare);
	publish_wait(all, count, publish_sync_contents);
	publish_each(all, count, publish_gather);
	publish_wait(all, count, publish_sync_aside);
	publish_each(all, count, publish_place);
	publish_wait(all, count, publish_sync_names);
	for (size_t i = 0; i < count; i++)
		publish_conclude(&all[i]);
	free(all);
}

/* --- after a crash --- */

/* The file among what a crash has left aside goes back to incoming/. */
struct publish_restoring {
	struct fs *fs;
	const struct fs_names *names;
	enum { PUBLISH_NOTHING, PUBLISH_RESTORED } result;
};

static enum ft_status publish_restore_entry(void *context, int dir, const char *name)
{
	struct publish_restoring *r = context;
	char owner[FT_NAME_ROOM];
	enum ft_status st;

	if (fs_manifest_owner(owner, name)) {
		(void)ft_sys_unlinkat(dir, name, 0);
		return FT_OK;
	}
	if ((st = publish_return(r->fs, dir, name, r->names)) == FT_OK)
		r->result = PUBLISH_RESTORED;
	return st;
}

enum ft_status fs_restore(struct fs *fs, const struct fs_names *names)
{
	struct publish_restoring r = { .fs = fs, .names = names };
	enum ft_status st;
	int dir;

	if ((st = fs_place_open(fs, FS_TMP, names, &dir)) != FT_OK)
		return st;
	if ((st = fs_each(&dir, publish_restore_entry, &r)) != FT_OK)
		return st;
	fs_place_remove(fs, FS_TMP, names);
	return r.result == PUBLISH_RESTORED ? FT_OK : FT_NO_SUCH_TRANSFER;
}
