/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The fs backend, private: what its files share.
 *
 *	<dir>/incoming/<client>/<file>/{data,manifest.json,journal}, at times manifest.new
 *	     /files/<client>/<file>/{<name>,<name>.manifest.json}
 *	     /trash/<uuid>/	detached, to be purged
 *	     /damaged/<uuid>/	set aside, for the operator
 *
 * A transfer is unfinished if and only if incoming/<client>/<file>/data exists:
 * create() makes it last, publish() takes it away by one rename. A directory
 * without it is a leftover. A transfer is finished if it is not unfinished and a
 * manifest lies in files/<client>/<file>.
 *
 * Threads. Descriptors, ranges and uploads belong to the broker's thread. Names are
 * changed by workers too (publish, enumerate), so where a decision and a rename, or
 * two renames, must not be torn apart by the other side, the transfer's names are
 * locked: for a handful of metadata calls, never over a transfer of bytes. Nor over an
 * fsync, with two exceptions: create() in durability segment, which waits for one anyway,
 * and removing the manifest that a power cut has left without its file.
 */
#ifndef FT_STORE_FS_H
#define FT_STORE_FS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/escape.h"
#include "base/list.h"
#include "base/sys.h"
#include "base/system.h"
#include "file_transfer/store.h"
#include "store/atomic.h"
#include "store/journal.h"

#define FS_DATA "data"
#define FS_JOURNAL "journal"
#define FS_JOURNAL_TEMPORARY "journal.tmp"
#define FS_MANIFEST "manifest.json"
#define FS_MANIFEST_NEWER "manifest.new"
#define FS_MANIFEST_TEMPORARY "manifest.tmp"
#define FS_FINAL_TEMPORARY "final.tmp"
#define FS_MANIFEST_SUFFIX ".manifest.json"

#define FS_TEXT_MAX ((size_t)1024 * 1024)	/* a longer manifest is none of ours */
#define FS_STEP ((size_t)64 * 1024)		/* comparisons go in such steps */
#define FS_LOCKS 64				/* transfers that share one wait for each other */
#define FS_FINISHED_ENTRIES 1024			/* looked at in a finished transfer's directory */

/* The names of a transfer's two directories. */
struct fs_names {
	char client[FT_NAME_ROOM];
	char file[FT_NAME_ROOM];
};

/* Transfers that something holds of for a while, by their names. For all threads. */
struct fs_marks {
	pthread_mutex_t lock;
	struct ft_list list;
};

struct fs_mark {
	struct ft_link link;
	const struct fs_names *names;	/* borrowed */
};

struct fs {
	struct ft_store base;
	int incoming;
	int files;
	int trash;
	int damaged;
	enum ft_durability durability;
	struct ft_boot boot;
	struct ft_logger *log;
	pthread_mutex_t names[FS_LOCKS];
	struct fs_marks publishing;	/* their data may have to come back */
	struct fs_marks fresh_trash;	/* a power cut may bring their bytes back */
	pthread_t broker;		/* the thread that opened the store */
	uint64_t limit;			/* no data file may be longer */
	atomic_llong complained_ms;	/* when an error was logged last, and which */
	atomic_int complaint;

	/* the broker's thread only */
	struct ft_list used;		/* uploads with open descriptors, oldest use first */
	size_t open;			/* descriptors they hold */
	size_t max_open;
	char *scratch;			/* FS_STEP bytes */
	int64_t space_ms;
	uint64_t space;
};

struct fs_checkpoint;

struct fs_upload {
	struct ft_upload base;
	struct ft_link link;		/* in fs->used while the descriptors are open */
	struct fs_checkpoint *checkpoint; /* the one that is running, or NULL */
	struct ft_journal journal;
	int data_fd;			/* -1: not open */
	int journal_fd;
	uint64_t allocated;		/* up to here blocks are there, or it is not worth trying */
	bool durable;			/* the journal says of some bytes that they are on the disk */
	bool anchored;			/* manifest and directories are on the disk */
	bool unseen;			/* held was given up unseen, which the journal does not say yet */
	uint16_t file_len;
	uint32_t client_len;
	char ids[];			/* client, then file */
};

struct fs_checkpoint {
	struct ft_checkpoint base;
	struct fs_names names;
	struct ft_ranges noted;		/* what the new journal is to say */
	struct ft_atomic next;		/* the new journal, once it ran */
	struct ft_journal journal;
	int dir_fd;
	int data_fd;
	bool anchor;			/* manifest and directories are to be synced too */
	bool data_failed;		/* the data's fdatasync failed */

	/* the broker's thread only */
	struct ft_ranges since;		/* what put() added meanwhile */
	bool spoiled;			/* what was noted does not hold any more */
	bool described;			/* the manifest was replaced meanwhile */
};

struct fs_work {
	struct ft_work base;
	struct fs_mark publishing;	/* between the renames and the last fsync */
	bool anchored;			/* its directories are on the disk */
	int data_fd;
	int dir_fd;			/* incoming/<client>/<file>, once it was needed; else -1 */
	bool synced;			/* all of the data is on the disk */
	struct fs_names names;
};

struct fs_trash {
	struct ft_trash base;
	struct fs_mark fresh;		/* until it is sure to stay away */
	struct fs_names names;		/* what it was */
	char name[FT_UUID_ROOM];
};

static inline struct fs *fs_of(struct ft_store *store)
{
	return (struct fs *)store;
}

static inline struct fs_work *fs_work_of(struct ft_work *work)
{
	return (struct fs_work *)work;
}

static inline struct fs_upload *fs_upload_of(struct ft_upload *upload)
{
	return (struct fs_upload *)upload;
}

/* --- fs.c --- */

/* What is known of the free space is as old as a second: so much less is left by now. */
void fs_space_taken(struct fs *fs, uint64_t bytes);

/* --- fs_paths.c: names, directories, reports --- */

void fs_names_of(struct fs_names *names, const struct ft_key *key);
void fs_names_of_upload(struct fs_names *names, const struct fs_upload *up);

/*
 * openat() with O_CLOEXEC | O_NOFOLLOW, mode 0640; -1 and errno on error. On the broker's
 * thread, where no descriptor is left, one upload's are given up for it.
 */
int fs_open_at(struct fs *fs, int dir, const char *name, int flags);
int fs_open_dir(struct fs *fs, int dir, const char *name);

/*
 * Holds the names of one transfer still: what is decided on them and what is renamed,
 * made or removed is one step for all threads. Not across transfers: the client's
 * directory, which they share, may come and go at any time.
 */
void fs_lock(struct fs *fs, const struct fs_names *names);
void fs_unlock(struct fs *fs, const struct fs_names *names);

/*
 * Whether <top>/<client>/<file>/<leaf> is certainly not there (leaf NULL: the directory).
 * One call, for what most often is the case; what is there is then opened with care.
 */
bool fs_is_absent(int top, const struct fs_names *names, const char *leaf);

/* stat() of the same, without a descriptor. False: errno says why. */
bool fs_stat_pair(int top, const struct fs_names *names, const char *leaf, struct stat *found);

/* Whether `dir` still is <top>/<client>/<file>. False: ENOENT, or why that cannot be told. */
bool fs_is_pair(int top, const struct fs_names *names, int dir);

/* The directory <top>/<client>/<file>, where `top` is fs->incoming or fs->files. */
int fs_open_pair(struct fs *fs, int top, const struct fs_names *names);

/* The same, made where it is missing. The caller holds the lock on the names. *made: whether it was. */
int fs_make_pair(struct fs *fs, int top, const struct fs_names *names, bool *made);

/*
 * rmdir of <top>/<client>/<file> and <top>/<client> where they are empty; keeps errno.
 * The caller holds the lock on the names.
 */
void fs_remove_pair(struct fs *fs, int top, const struct fs_names *names);

/*
 * fsync of `dir`, which is <top>/<client>/<file>, of <top>/<client> and of <top>: all names
 * that lead to what is in it. False: errno says why.
 */
bool fs_sync_dirs(struct fs *fs, int top, const struct fs_names *names, int dir);


/*
 * Whether `name` in `dir` is the regular file that `fd` is open on. False: ENOENT, or why
 * that cannot be told: to a client these are not the same.
 */
bool fs_is_same(int dir, const char *name, int fd);

/* Reads a text file, malloc'd and NUL-terminated. FT_DAMAGED: no regular file, empty, too long. */
enum ft_status fs_read_text(struct fs *fs, int dir, const char *name, char **text, size_t *len);

/* The same of a file that is open. */
enum ft_status fs_read_all_text(int fd, char **text, size_t *len);

/*
 * Logs "cannot <what>/<client>/<file>: <errno>" unless that was just said. Returns the
 * errno's status and leaves errno alone.
 */
enum ft_status fs_failed(struct fs *fs, const char *what, const struct fs_names *names);

/* The same for a failed fsync or fdatasync: always FT_IO_ERROR. */
enum ft_status fs_sync_failed(struct fs *fs, const char *what, const struct fs_names *names);

/* Moves <top>/<client>/<file> to damaged/ and logs it. The caller holds the lock on the names. */
enum ft_status fs_set_aside_pair(struct fs *fs, int top, const struct fs_names *names,
				 const char *why);

/* The same for a caller that does not hold the lock on the names. Always FT_DAMAGED. */
enum ft_status fs_damaged(struct fs *fs, int top, const struct fs_names *names, const char *why);

/* --- fs_marks.c: which transfers something holds of --- */

bool fs_marks_init(struct fs_marks *marks);
void fs_marks_release(struct fs_marks *marks);

/* A mark that is not set. The names are borrowed for as long as it may be. */
void fs_mark_init(struct fs_mark *mark, const struct fs_names *names);

/* Sets the mark or takes it away; either may have been done before. */
void fs_marks_set(struct fs_marks *marks, struct fs_mark *mark, bool marked);

/* Whether there is a mark on these names. */
bool fs_marks_has(struct fs_marks *marks, const struct fs_names *names);

/* --- fs_cache.c: the descriptors of uploads, broker's thread only --- */

/* Makes sure that the upload's descriptors are open, and that it is the last to lose them. */
enum ft_status fs_cache_use(struct fs *fs, struct fs_upload *up);

/* Takes over descriptors that were just opened. */
void fs_cache_add(struct fs *fs, struct fs_upload *up, int data_fd, int journal_fd);

/* Exchanges the journal's descriptor; the old one is closed. */
void fs_cache_swap_journal(struct fs_upload *up, int journal_fd);

/* Closes the upload's descriptors. */
void fs_cache_drop(struct fs *fs, struct fs_upload *up);

/*
 * Closes those of the upload that was used longest ago. False: there is none but the
 * one that was used last, which may be in use right now.
 */
bool fs_cache_evict(struct fs *fs);

/* A descriptor of its own on the upload's data; the upload must be in use. -1: errno says why. */
int fs_cache_dup(struct fs *fs, struct fs_upload *up);

/* --- fs_upload.c --- */

enum ft_status fs_create(struct ft_store *store, const struct ft_key *key, const char *manifest,
			 size_t manifest_len, struct ft_upload **out);
enum ft_status fs_load(struct ft_store *store, const struct ft_key *key, char **manifest,
		       size_t *manifest_len, struct ft_upload **out);
void fs_release(struct ft_upload **upload);
void fs_settle(struct ft_upload *upload);

/* --- fs_manifest.c: what init said --- */

enum ft_status fs_describe(struct ft_upload *upload, const char *manifest, size_t manifest_len);

/* The manifest in incoming/<client>/<file>, of two the newer. As fs_read_text(). */
enum ft_status fs_read_manifest(struct fs *fs, int dir, char **text, size_t *len);

/*
 * Makes the newer manifest the only one, and fsyncs that and the directories that lead to
 * it: without them the data would be lost all the same. `dir` is incoming/<client>/<file>.
 * False: errno says why.
 */
bool fs_sync_around(struct fs *fs, const struct fs_names *names, int dir);

/* --- fs_detach.c --- */

enum ft_status fs_detach(struct ft_upload **upload, struct ft_trash **out);
enum ft_status fs_set_aside(struct ft_upload **upload, const char *why);
enum ft_status fs_purge(struct ft_trash **trash);

/*
 * Before a key is begun anew: makes certain that what was detached from it stays away.
 * Waits for the disk only where that has bytes that would count after a power cut, and
 * its purge has not come so far yet. False: errno says why.
 */
bool fs_is_clear(struct fs *fs, const struct fs_names *names);

/* Removes trash/<name> with what is in it; one that is gone is no error. */
enum ft_status fs_purge_name(struct fs *fs, const char *name);

/* --- fs_put.c --- */

enum ft_status fs_put(struct ft_upload *upload, uint64_t offset, const void *bytes, size_t len,
		      struct ft_put *done);
enum ft_status fs_matches(struct ft_upload *upload, uint64_t offset, const void *bytes, size_t len,
			  bool *same);

/* Whether the file has these bytes there. errno is set on FT_IO_ERROR. */
enum ft_status fs_compare(struct fs *fs, int fd, uint64_t offset, const void *bytes, size_t len,
			  bool *same);

/* --- fs_reassess.c: bringing down what is held --- */

enum ft_status fs_reassess(struct ft_upload *upload, bool sync_failed);

/* Bytes behind the data's end are not held; writes that down. The upload must be in use. */
enum ft_status fs_cut_held(struct fs *fs, struct fs_upload *up);

/* [start, end) is not held any more; writes that down. The upload must be in use. */
void fs_lose(struct fs *fs, struct fs_upload *up, uint64_t start, uint64_t end, const char *why);

/* After a failed fsync: only what is durable is held. */
enum ft_status fs_fall_back(struct fs *fs, struct fs_upload *up);

/* Brings journal and data in line with a held that was given up unseen. As fs_cut_held(). */
enum ft_status fs_look_again(struct fs *fs, struct fs_upload *up);

/* Before held bytes are overwritten: what the journal says is durable is so no more. */
enum ft_status fs_doubt(struct fs *fs, struct fs_upload *up);

/* --- fs_work.c --- */

enum ft_status fs_work(struct ft_upload *upload, struct ft_work **out);
void fs_work_close(struct ft_work **work);
enum ft_status fs_read(struct ft_work *work, uint64_t offset, void *buffer, size_t len);
void fs_writeback(struct ft_work *work, uint64_t offset, uint64_t len);
enum ft_status fs_manifest(struct ft_work *work, char **manifest, size_t *manifest_len);
enum ft_status fs_sync(struct ft_work *work);

/* Opens the transfer's directory. False with ENOENT where it is another transfer's by now. */
bool fs_work_open(struct fs_work *own);

/* --- fs_publish.c, fs_finished.c --- */

void fs_publish(struct ft_publication *publications, size_t count);
enum ft_status fs_find(struct ft_store *store, const struct ft_key *key, char **manifest,
		       size_t *manifest_len);
enum ft_status fs_finished_matches(struct ft_store *store, const struct ft_key *key,
				   const char *name, uint64_t offset, const void *bytes,
				   size_t len, bool *same);

/*
 * Removes the manifests in files/<client>/<file>, which a publish that did not come to
 * its end left there. The caller holds the lock on the names. *finished: another file is there.
 */
enum ft_status fs_clear_stale(struct fs *fs, const struct fs_names *names, bool *finished);

/* --- fs_checkpoint.c --- */

enum ft_status fs_checkpoint_begin(struct ft_upload *upload, struct ft_checkpoint **out);
enum ft_status fs_checkpoint_run(struct ft_checkpoint *checkpoint);
enum ft_status fs_checkpoint_end(struct ft_upload *upload, struct ft_checkpoint **checkpoint,
				 enum ft_status ran);
bool fs_wants_checkpoint(const struct ft_upload *upload);

/* Remembers for a running checkpoint what put() added, or that held bytes changed. */
void fs_checkpoint_added(struct fs_upload *up, uint64_t start, uint64_t end);
void fs_checkpoint_spoiled(struct fs_upload *up);

/* Notes that the manifest was replaced; `anchored`: and that it is on the disk. */
void fs_checkpoint_described(struct fs_upload *up, bool anchored);

/* --- fs_scan.c --- */

enum ft_status fs_enumerate(struct ft_store *store, ft_store_visit *visit, void *context);

/* The ids an unfinished transfer's manifest names. */
struct fs_ids {
	char *client;
	char *file;
	size_t client_len;
	size_t file_len;
};

/*
 * The ids that a manifest names. After an error holds nothing. FT_DAMAGED: it is no
 * manifest, or its ids do not have these names; FT_NO_MEMORY.
 */
enum ft_status fs_ids_read(struct fs_ids *ids, const char *manifest, size_t len,
			   const struct fs_names *names);
void fs_ids_release(struct fs_ids *ids);

#endif
