/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The segment store: what a backend implements and the rest of the plugin calls.
 *
 * A store keeps bytes, and knows nothing of MQTT, JSON or clients' rights. A
 * backend is one `const struct ft_store_ops`, listed in plugin/store/store.c and
 * picked by the option `store`. A transfer is identified by its key, the pair of
 * client id and file id, both arbitrary bytes.
 *
 *	unfinished:  create() or load()  -> struct ft_upload
 *	             put() ... put()        the held ranges are upload->held
 *	             release()              forget the handle, keep the bytes
 *	             detach() + purge()     forget the bytes
 *	assembling:  work()              -> struct ft_work, for a worker thread
 *	             read() ...             to hash
 *	             sync(), publish()      durable and visible, or FT_* and as before
 *	finished:    find(), finished_matches()
 *
 * THREADS. Each operation below says who calls it.
 *  [start]   the broker's thread, at start or end only; may block.
 *  [broker]  the broker's thread while clients wait: no fsync (but in
 *            FT_DURABILITY_SEGMENT), no network, no scan, nothing unbounded.
 *  [worker]  any worker thread, at the same time as [broker] calls on the same
 *            upload and [worker] calls on other uploads. The caller never runs two
 *            [worker] calls on one upload at a time, but for one that has been
 *            cancelled and is still on its way out of read() or sync().
 * A worker never sees a struct ft_upload, only handles that own what they need.
 *
 * CRASHES. When put() has returned FT_OK the bytes are held even if the process
 * is killed at any later instant. What survives a power cut is said at
 * enum ft_durability.
 *
 * ERRORS. Operations return FT_OK, or: FT_NO_SUCH_TRANSFER (nothing under that
 * key), FT_DISK_FULL (ENOSPC, EDQUOT), FT_FILE_TOO_LARGE (EFBIG), FT_NO_MEMORY,
 * FT_BUSY (no descriptors left), FT_IO_ERROR, FT_DAMAGED (was unreadable; has been
 * set aside and logged), and what is named at the operation. After an error
 * nothing has changed unless said otherwise. The backend logs what the operator
 * must know (which path, errno, what to do) once, where it is seen.
 *
 * OWNERSHIP. Keys and byte pointers are borrowed for the call. Text handed out
 * (`char **text`) is malloc'd, NUL-terminated beyond its length, and the caller's
 * to free(). Handles consumed by a call are passed by address and set to NULL.
 */
#ifndef FILE_TRANSFER_STORE_H
#define FILE_TRANSFER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file_transfer/logger.h"
#include "file_transfer/ranges.h"
#include "file_transfer/status.h"

/* Option `durability`: what survives a power cut. All survive kill -9. */
enum ft_durability {
	FT_DURABILITY_NONE,	/* nothing is promised */
	FT_DURABILITY_FILE,	/* finished files; unfinished bytes up to the last checkpoint */
	FT_DURABILITY_SEGMENT,	/* also every put() that returned FT_OK */
};

/* The identity of a transfer. Bytes, not text; client 0..65535, file 1..255 bytes long. */
struct ft_key {
	const char *client;
	size_t client_len;
	const char *file;
	size_t file_len;
};

struct ft_store_config {
	const char *dir;		/* storage_dir; exists, writable, locked by the caller */
	enum ft_durability durability;
	const char *boot_id;		/* 36 characters, changes when the kernel boots; tests set it */
	size_t max_open;		/* descriptors to keep open at most; at least 8 */
	struct ft_logger *log;		/* outlives the store */
};

/* Bases: a backend's own structs begin with these. */
struct ft_store {
	const struct ft_store_ops *ops;
};

struct ft_upload {
	struct ft_store *store;
	struct ft_ranges held;		/* kept up to date by the backend; callers read only */
};

struct ft_work {
	struct ft_store *store;
};

struct ft_trash {
	struct ft_store *store;
};

struct ft_checkpoint {
	struct ft_store *store;
};

/* One of the files that publish() is to make visible together. */
struct ft_publication {
	struct ft_work *work;		/* borrowed, and no other publication's */
	const char *name;		/* 1..240 bytes, no '/' */
	uint64_t size;			/* bytes beyond it are cut off */
	const char *manifest;
	size_t manifest_len;
	enum ft_status status;		/* the result */
	bool sync_failed;		/* and whether an fsync was what failed */
};

/* What put() did. */
struct ft_put {
	uint64_t added;		/* bytes that were not held before */
	bool overwrote;		/* bytes that were held now differ */
};

/* One unfinished transfer, as enumerate() finds it. Borrowed for the visit. */
struct ft_found {
	struct ft_key key;
	const char *manifest;		/* as given to create() or describe() */
	size_t manifest_len;
	int64_t last_news;		/* Unix seconds of its last change */
	uint64_t stored_bytes;		/* what it occupies, roughly */
};

/* Returns false to end the walk. */
typedef bool ft_store_visit(void *context, const struct ft_found *found);

struct ft_store_ops {
	const char *name;	/* as in plugin_opt_store */

	/* --- life of the store --- */

	/* [start] Opens; leftovers of an earlier process stay for enumerate(). */
	enum ft_status (*open)(const struct ft_store_config *config, struct ft_store **out);

	/* [start] Closes. All handles have been given back, all workers have ended. */
	void (*close)(struct ft_store **store);

	/* --- unfinished transfers --- */

	/*
	 * [broker] Begins a transfer that neither load() nor find() knows.
	 * `manifest` is opaque to the store; it names both ids, see ft_manifest.
	 */
	enum ft_status (*create)(struct ft_store *store, const struct ft_key *key,
				 const char *manifest, size_t manifest_len,
				 struct ft_upload **out);

	/* [broker] Opens what an earlier handle, or process, left. FT_NO_SUCH_TRANSFER, FT_DAMAGED. */
	enum ft_status (*load)(struct ft_store *store, const struct ft_key *key,
			       char **manifest, size_t *manifest_len, struct ft_upload **out);

	/* [broker] Replaces the manifest, atomically. */
	enum ft_status (*describe)(struct ft_upload *upload, const char *manifest,
				   size_t manifest_len);

	/*
	 * [broker] Stores `len` > 0 bytes at `offset`; offset + len <= 2^63-1.
	 * All or nothing: after an error the same bytes as before are held (bytes whose
	 * old content could not be brought back count as not held and are logged).
	 * Idempotent: bytes that are held already with the same content are not written.
	 * FT_QUOTA_EXCEEDED: more than FT_RANGES_MAX ranges.
	 */
	enum ft_status (*put)(struct ft_upload *upload, uint64_t offset, const void *bytes,
			      size_t len, struct ft_put *done);

	/* [broker] Whether all of [offset, offset + len) is held with just these bytes. */
	enum ft_status (*matches)(struct ft_upload *upload, uint64_t offset, const void *bytes,
				  size_t len, bool *same);

	/* [broker] Gives the handle back; the bytes stay. Not while a work or checkpoint handle is out. */
	void (*release)(struct ft_upload **upload);

	/*
	 * [broker] Optional: no put() is expected any more. What would cost the broker's
	 * thread much to give up once publish() has removed files is given up now.
	 */
	void (*settle)(struct ft_upload *upload);

	/*
	 * [broker] Takes the transfer out of the store: when this returns the key is
	 * unknown and may be created anew. Consumes the upload, also while work or
	 * checkpoint handles are out (they turn useless but stay safe). On error the
	 * upload is untouched.
	 */
	enum ft_status (*detach)(struct ft_upload **upload, struct ft_trash **out);

	/*
	 * [broker] Moves the transfer to where damage is kept and logs both places and
	 * `why`; the key is then unknown. Consumes the upload. Not while work or
	 * checkpoint handles are out. On error it is only released.
	 */
	enum ft_status (*set_aside)(struct ft_upload **upload, const char *why);

	/* [worker] Frees what was detached. Consumes the trash. */
	enum ft_status (*purge)(struct ft_trash **trash);

	/* --- assembling --- */

	/* [broker] A handle of its own for one worker job on the upload's bytes. */
	enum ft_status (*work)(struct ft_upload *upload, struct ft_work **out);

	/* [any] Gives a work handle back. NULL inside is ignored. */
	void (*work_close)(struct ft_work **work);

	/* [worker] Reads exactly `len` held bytes at `offset`. */
	enum ft_status (*read)(struct ft_work *work, uint64_t offset, void *buffer, size_t len);

	/* [worker] Optional: starts writing [offset, offset + len) to the disk, does not wait. */
	void (*writeback)(struct ft_work *work, uint64_t offset, uint64_t len);

	/* [worker] The manifest as last given to create() or describe(). */
	enum ft_status (*manifest)(struct ft_work *work, char **manifest, size_t *manifest_len);

	/*
	 * [worker] Makes the bytes durable, as far as the durability asks for it: optional
	 * ahead of publish(), which does it too, but can not be given up any more.
	 * After an error the caller calls reassess(sync_failed = true).
	 */
	enum ft_status (*sync)(struct ft_work *work);

	/*
	 * [worker] Cuts the bytes at `size`, makes the finished files visible under
	 * their names with the manifests beside them, and both durable: of all at once,
	 * since a disk takes hardly longer for many than for one. Each has its own result
	 * in `status`, and none depends on another's.
	 * Nothing is visible before all of it is there. On FT_OK the unfinished
	 * transfer is gone and the caller release()s its upload; on error it is as
	 * before, except that bytes beyond `size` may be gone and that a failed fsync
	 * may have cost bytes: the caller calls reassess(), and says which it was.
	 */
	void (*publish)(struct ft_publication *publications, size_t count);

	/*
	 * [broker] After sync() or publish() failed: brings upload->held down to what
	 * is there; after a failed fsync, to what an earlier checkpoint made durable.
	 */
	enum ft_status (*reassess)(struct ft_upload *upload, bool sync_failed);

	/* --- finished transfers --- */

	/* [broker] The manifest given to publish(). FT_NO_SUCH_TRANSFER where not finished. */
	enum ft_status (*find)(struct ft_store *store, const struct ft_key *key,
			       char **manifest, size_t *manifest_len);

	/* [broker] Whether the finished file `name` has just these bytes at `offset`. */
	enum ft_status (*finished_matches)(struct ft_store *store, const struct ft_key *key,
					   const char *name, uint64_t offset, const void *bytes,
					   size_t len, bool *same);

	/* --- checkpoints (all three, or all NULL) --- */

	/* [broker] Notes what is held now. */
	enum ft_status (*checkpoint_begin)(struct ft_upload *upload, struct ft_checkpoint **out);

	/* [worker] Makes what was noted durable (not with FT_DURABILITY_NONE: then it only compacts). */
	enum ft_status (*checkpoint_run)(struct ft_checkpoint *checkpoint);

	/*
	 * [broker] Records the outcome. Consumes the checkpoint. `upload` NULL: it was
	 * detached or released meanwhile. `ran` is what checkpoint_run() returned, or
	 * FT_CANCELLED; it is returned where it is an error. After a failed fsync
	 * upload->held is what an earlier checkpoint made durable.
	 */
	enum ft_status (*checkpoint_end)(struct ft_upload *upload, struct ft_checkpoint **checkpoint,
					 enum ft_status ran);

	/* --- the whole store --- */

	/*
	 * [worker] Visits every unfinished transfer once, clears what an earlier process
	 * left half-made or half-removed, sets damage aside. Runs while clients are served:
	 * transfers that come or go meanwhile may or may not be visited.
	 */
	enum ft_status (*enumerate)(struct ft_store *store, ft_store_visit *visit, void *context);

	/* [broker] Optional: bytes free for new data; must not block. NULL: unlimited. */
	enum ft_status (*space)(struct ft_store *store, uint64_t *free_bytes);

	/* [broker] Optional: whether the upload's log has grown enough to make a checkpoint worth it. */
	bool (*wants_checkpoint)(const struct ft_upload *upload);
};

/* The backend called `name`, or NULL. Static storage. */
const struct ft_store_ops *ft_store_backend(const char *name);

/* The names of all backends, NULL-terminated: for messages and for the contract suite. */
const struct ft_store_ops *const *ft_store_backends(void);

#endif
