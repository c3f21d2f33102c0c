/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The fs backend, private: files in directories under storage_dir.
 *
 *	format					the version of this layout, see fs.c
 *	incoming/<client>/<file>		the bytes of an unfinished transfer, written in place
 *	files/<client>/<file>/<name>		a finished file
 *	                      <name>.manifest.json
 *	tmp/.<run>-<n>/				a finished file on its way, from memory
 *	tmp/<client>/<file>/			the same, from incoming/: what crashes leave there
 *						goes back to incoming/ when the store is opened
 *	tmp/.<run>-<n>				bytes that were discarded and are being freed
 *	done/<title>.json			a notice of a finished file, for consumers to take
 *	damaged/<uuid>				what nobody knows
 *
 * <client> and <file> are the ids by base/escape.h, so none begins with '.'.
 *
 * NO STATE. Only storage_dir itself is kept open. Whatever lies under it is looked up by
 * its names at each operation, and made again where somebody removed it. No component of
 * these names is followed if it is a link.
 *
 * SIGXFSZ is to be ignored, so that a write beyond RLIMIT_FSIZE fails and does no more.
 *
 * THREADS. Nothing here changes after open() but counters, which are atomic.
 */
#ifndef FT_STORE_FS_FS_H
#define FT_STORE_FS_FS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/sys.h"
#include "file_transfer/store.h"
#include "store/backends.h"

#define FS_MANIFEST_SUFFIX ".manifest.json"
#define FS_MANIFEST_SUFFIX_LEN (sizeof FS_MANIFEST_SUFFIX - 1)
#define FS_MANIFEST_MAX ((uint64_t)1024 * 1024)	/* bytes; a longer one is none of ours */
#define FS_PATH_ROOM (2 * FT_NAME_ROOM + 32)	/* <top>/<client>/<file> */
#define FS_DIR_MODE 0750
#define FS_FILE_MODE 0640
#define FS_ATTEMPTS 2000		/* to make what somebody else keeps removing */

#define FS_INCOMING "incoming"
#define FS_FILES "files"
#define FS_TMP "tmp"
#define FS_DONE "done"
#define FS_DAMAGED "damaged"

struct fs {
	struct ft_store base;
	int root;			/* storage_dir */
	enum ft_durability durability;
	struct ft_logger *logger;
	unsigned run;			/* names of this process in tmp/ begin with it */
	atomic_uint named;		/* how many there were */
	/* What the file system can do. */
	size_t name_max;		/* bytes of a name */
	const char *refused;		/* bytes that cannot stand in a name */
	enum { FS_HOLES, FS_NO_HOLES } holes;
	/* The last error that was logged, so that it is logged once. */
	atomic_int complaint;
	_Atomic int64_t complained_ms;
};

/* Ids as names. */
struct fs_names {
	char client[FT_NAME_ROOM];
	char file[FT_NAME_ROOM];
};

struct fs_upload {
	struct ft_upload base;
	int fd;
	enum { FS_BYTES, FS_LINK } kind;	/* LINK: a hard link in tmp/ to a finished file; only read */
	char discarded[32];		/* its name in tmp/ after discard(), or as a link; "": not there */
	struct fs_names names;
};

static inline struct fs *fs_of(struct ft_store *store)
{
	return (struct fs *)store;
}

static inline struct fs_upload *fs_upload_of(struct ft_upload *upload)
{
	return (struct fs_upload *)upload;
}

/* --- names.c: names and words --- */

void fs_names_of(const struct fs *fs, struct fs_names *names, const struct ft_key *key);

/* <top>/<client>, and <top>/<client>/<file>. */
void fs_client_path(char path[FS_PATH_ROOM], const char *top, const struct fs_names *names);
void fs_path(char path[FS_PATH_ROOM], const char *top, const struct fs_names *names);

/* A name in tmp/ that nobody else has: tmp/.<run>-<n>. Returns the part behind "tmp/". */
const char *fs_temporary_path(struct fs *fs, char path[FS_PATH_ROOM]);

/* Whether storage_dir still exists: a directory that was removed has no links left. */
bool fs_root_is_there(const struct fs *fs);

/*
 * What errno means. Logs which path, what the system said and the remedy, the same error
 * once a second. ENOENT is an I/O error here: whoever expects it looks for it before.
 */
enum ft_status fs_failed(struct fs *fs, const char *what, const char *place) FT_MUST_USE;

/* The same of <top>/<client>/<file>. */
enum ft_status fs_place_failed(struct fs *fs, const char *what, const char *top,
			       const struct fs_names *names) FT_MUST_USE;

/* The same after an fsync, whatever it said: FT_IO_ERROR. */
enum ft_status fs_sync_failed(struct fs *fs, const char *place) FT_MUST_USE;

/* --- dirs.c: directories --- */

/* Opens a directory; links are not followed. The result is in *fd, -1 on error. */
enum ft_status fs_dir_open(int dir, const char *name, int *fd) FT_MUST_USE;

/* Makes a directory and opens it. FT_ALREADY_COMPLETE: it is there. */
enum ft_status fs_dir_make(int dir, const char *name, int *fd) FT_MUST_USE;

/* Whether to try once more, after `tries`: gives way to who keeps removing, once that is not chance. */
bool fs_may_try(int tries);

/* Makes one of the directories in storage_dir again, if it is not there, and says so. */
void fs_top_make(struct fs *fs, const char *top);

/* <top>/<client>. */
enum ft_status fs_client_open(struct fs *fs, const char *top, const struct fs_names *names,
			      int *fd) FT_MUST_USE;

/* <top>/<client>, made with `top` where it is absent. Logs. */
enum ft_status fs_client_make(struct fs *fs, const char *top, const struct fs_names *names,
			      int *fd) FT_MUST_USE;

/* <top>/<client>/<file>. FT_NO_SUCH_TRANSFER where there is none; other errors are logged. */
enum ft_status fs_place_open(struct fs *fs, const char *top, const struct fs_names *names,
			     int *fd) FT_MUST_USE;

/* Removes <top>/<client>/<file> if nothing is in it, and then <top>/<client>. */
void fs_place_remove(struct fs *fs, const char *top, const struct fs_names *names);

/* Removes <top>/<client> if nothing is in it. */
void fs_client_remove(struct fs *fs, const char *top, const struct fs_names *names);

/* fsync of <top>/<client>, of <top> and of storage_dir. Logs. */
enum ft_status fs_client_sync(struct fs *fs, const char *top,
			      const struct fs_names *names) FT_MUST_USE;

/* Whether dir/name is the file or directory that is open; FS_FAILED: errno says why. */
enum fs_same { FS_SAME, FS_OTHER, FS_ABSENT, FS_FAILED };
enum fs_same fs_compare(int dir, const char *name, int fd);

/* Opens a file for reading; anything else than a file counts as absent. Logs nothing. */
enum ft_status fs_file_open(int dir, const char *name, int *fd, struct stat *info) FT_MUST_USE;

/* Reads a manifest; malloc'd. FT_NO_SUCH_TRANSFER: none, or no file; FT_DAMAGED: empty or too long. */
enum ft_status fs_manifest_read(int dir, const char *name, char **text, size_t *len) FT_MUST_USE;

/* Calls `visit` for each entry of a directory; takes and closes *dir. FT_CANCELLED ends it, and is FT_OK. */
typedef enum ft_status fs_visit(void *context, int dir, const char *name);
enum ft_status fs_each(int *dir, fs_visit *visit, void *context) FT_MUST_USE;

/* --- fs.c --- */

enum ft_status fs_check_name(const struct ft_store *store, const char *name);

/* --- probe.c --- */

/* Finds out what the file system can do; refuses one that would mix up ids. Logs. */
enum ft_status fs_probe(struct fs *fs, const char *dir) FT_MUST_USE;

/* --- upload.c --- */

enum ft_status fs_upload_open(struct ft_store *store, const struct ft_key *key,
			      enum ft_upload_mode mode, struct ft_upload **out);
enum ft_status fs_upload_link(struct ft_store *store, const struct ft_key *from,
			      const char *from_name, const struct ft_key *key,
			      struct ft_upload **out);
void fs_upload_close(struct ft_upload **upload);
enum ft_status fs_write(struct ft_upload *upload, uint64_t offset, const void *bytes, size_t len);
enum ft_status fs_read(struct ft_upload *upload, uint64_t offset, void *buffer, size_t len);
enum ft_status fs_discard(struct ft_upload *upload);
enum ft_status fs_sync(struct ft_upload *upload);
enum ft_status fs_local_path(struct ft_upload *upload, uint64_t size, char *path, size_t room);

/* Removes a file from tmp/, whose bytes may have other names. */
void fs_tmp_remove(struct fs *fs, const char *name);

/* Frees what a file takes bit by bit, so that no single call takes long, then its name in tmp/. */
void fs_free_slowly(struct fs *fs, int fd, const char *name);

/* --- publish.c --- */

void fs_publish(struct ft_store *store, struct ft_publication *publications, size_t count);

/* Takes bytes that a crash has left in tmp/<client>/<file>/ back to incoming/. */
enum ft_status fs_restore(struct fs *fs, const struct fs_names *names) FT_MUST_USE;

/* --- finished.c --- */

enum ft_status fs_find(struct ft_store *store, const struct ft_key *key, const char *name);
enum ft_status fs_read_manifest(struct ft_store *store, const struct ft_key *key, const char *name,
				char **text, size_t *len);
enum ft_status fs_link_finished(struct ft_store *store, const struct ft_key *key, const char *name,
				int to_dir, const char *to);
enum ft_status fs_read_finished(struct ft_store *store, const struct ft_key *key,
				const char *name, uint64_t offset, void *buffer, size_t len);
void fs_remove_finished(struct ft_store *store, struct ft_removal *removals, size_t count);
enum ft_status fs_list_finished(struct ft_store *store, ft_store_visit *visit, void *context);

/* <name>.manifest.json */
#define FS_MANIFEST_ROOM (FT_NAME_ROOM + FS_MANIFEST_SUFFIX_LEN)
void fs_manifest_name(char manifest[FS_MANIFEST_ROOM], const char *name);

/* The name of the file that a manifest belongs to; false: it is no manifest. */
bool fs_manifest_owner(char name[FT_NAME_ROOM], const char *manifest);

/* --- done.c --- */

enum ft_status fs_announce(struct ft_store *store, const struct ft_notice *notices, size_t count);

/* --- sweep.c --- */

enum ft_status fs_sweep(struct ft_store *store, ft_store_is_known *is_known, void *context);

/* Moves dir/name to damaged/, with a line that says why. `place`: where it was, for the line. */
enum ft_status fs_set_aside(struct fs *fs, int dir, const char *name, const char *place,
			    const char *why) FT_MUST_USE;

/* Removes what is under a name, whatever it is, with all in it. */
void fs_remove_tree(int dir, const char *name);

#endif
