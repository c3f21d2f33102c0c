/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The store: where bytes are, of unfinished transfers and of finished files.
 *
 * A store knows nothing of MQTT, JSON or clients' rights, and not which bytes of an
 * unfinished transfer are held: that is the catalog's. It may block, and may be remote:
 * the broker's thread never calls it. A backend is one `const struct ft_store_ops`,
 * listed in plugin/store/store.c and picked by the option `store`.
 *
 *	unfinished	upload_open(CREATE) write()... [sync()] upload_close()
 *			upload_open(EXISTING) read()... upload_close()
 *			upload_open(EXISTING) discard() upload_close()
 *	the end		publish(): from an upload, or from memory, to a finished file
 *	finished	find(), read_finished(), remove_finished(), list_finished()
 *
 * THREADS. Any threads of the engine, several at a time. The engine promises that the
 * calls that concern one key come from one thread at a time, in order, with two exceptions:
 * sync() may run on a handle of its own while another handle writes, and find() and
 * read_finished() may be called at any time. open() and close()
 * are alone.
 *
 * WHAT THE ENGINE CHECKS. Lengths are > 0, offset + len <= 2^63-1, names obey the rules of
 * `init`, only bytes that were written are read, a key has one unfinished transfer at most.
 *
 * CRASHES. What write() has returned FT_OK for survives the end of the process at any later
 * instant (the kernel has it). What sync() or publish() have returned FT_OK for survives a
 * power cut, if the durability asks for it. Every operation may be repeated after a crash,
 * with the same parameters, and then has the same outcome.
 *
 * ERRORS. FT_OK, or FT_NO_SUCH_TRANSFER (nothing there), FT_DISK_FULL, FT_FILE_TOO_LARGE,
 * FT_NO_MEMORY, FT_BUSY (no descriptors left), FT_IO_ERROR, and what is named at the
 * operation. After an error nothing has changed unless said otherwise. The backend logs what
 * the operator must know (which path, what the system said, the remedy), once a cause.
 *
 * OWNERSHIP. Keys and pointers are borrowed for the call. Handles that a call takes are
 * passed by address and are NULL afterwards. Text handed out is malloc'd, the caller's.
 */
#ifndef FILE_TRANSFER_STORE_H
#define FILE_TRANSFER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file_transfer/logger.h"
#include "file_transfer/status.h"

/* Option `durability`: what survives a power cut. All survive kill -9. */
enum ft_durability {
	FT_DURABILITY_NONE,	/* nothing is promised */
	FT_DURABILITY_FILE,	/* finished files; unfinished bytes up to the last checkpoint */
	FT_DURABILITY_SEGMENT,	/* also every acknowledged segment: the log's promise */
};

/*
 * The identity of a transfer: who owns it (client id or user name), and the client's own id
 * for it. Bytes, not text; owner 0..65536, file 1..255 bytes long.
 */
struct ft_key {
	const char *owner;
	size_t owner_len;
	const char *file;
	size_t file_len;
};

/* Options of the store `s3`; see docs/s3.md. Texts that are NULL were not given. */
struct ft_s3_settings {
	char *url;			/* where objects go: scheme, host, bucket and prefix */
	char *region;			/* NULL: us-east-1 */
	char *credentials_file;		/* NULL: the environment */
	char *profile;			/* section of that file; NULL: default */
	char *ca_file;			/* NULL: the system's */
	char *key;			/* template of keys; NULL: <client>/<file>/<name> */
	int style;			/* enum ft_s3_style */
	int keep_local;			/* bool: finished files stay in files/, too */
	uint64_t part_size;		/* bytes of a part of a multipart upload */
	uint64_t connections;		/* requests at a time, besides the engine's own */
};

/* Where the bucket's name stands in the URL. */
enum ft_s3_style {
	FT_S3_PATH,	/* https://host/bucket/prefix */
	FT_S3_HOST,	/* https://bucket.host/prefix */
};

struct ft_store_config {
	const char *dir;		/* storage_dir; exists, writable, locked by the caller */
	const struct ft_s3_settings *s3;	/* of the store s3, outlives the store; others: NULL */
	enum ft_durability durability;
	struct ft_logger *logger;	/* outlives the store */
};

/* Bases: a backend's own structs begin with these. */
struct ft_store {
	const struct ft_store_ops *ops;
};

/* The bytes of one unfinished transfer, opened. */
struct ft_upload {
	struct ft_store *store;
};

enum ft_upload_mode {
	FT_UPLOAD_CREATE,	/* made where absent, with the directories that lead to it */
	FT_UPLOAD_EXISTING,
};

enum ft_publish_mode {
	FT_PUBLISH_KEEP,	/* another finished file under the key: FT_ALREADY_COMPLETE */
	FT_PUBLISH_REPLACE,	/* ... is replaced, atomically for who opens the name */
	FT_PUBLISH_ASK,		/* nothing is published: FT_NO_SUCH_TRANSFER where it is not there already */
};

/* One of the files that publish() makes visible together. */
struct ft_publication {
	struct ft_key key;
	struct ft_upload *upload;	/* taken and closed in any case; NULL: take `bytes` */
	const void *bytes;		/* the whole file, where `upload` is NULL; both NULL: see publish() */
	enum ft_publish_mode mode;
	bool first;			/* with KEEP: the catalog has no other file under the key, so that a
					   store need not look for one, only for one of the same name */
	const char *name;		/* 1..240 bytes, no '/' */
	uint64_t size;			/* bytes beyond it are cut off */
	const char *manifest;		/* text to lie beside it */
	size_t manifest_len;
	const char *transfer_id;	/* stands in the manifest, and in no other one */
	enum ft_status status;		/* the result; FT_IO_ERROR where an fsync failed, too */
	bool bytes_lost;		/* an fsync failed: what was written may be gone */
	bool later;			/* FT_BUSY: where it is to go cannot be reached now. All is as
					   before, and the engine calls again with the same, later */
};

#define FT_STORE_TAKEN UINT64_MAX
#define FT_STORE_URL_TTL_MAX_S ((uint32_t)7 * 24 * 60 * 60)	/* what S3 allows */
#define FT_STORE_URL_ROOM 20480		/* bytes of a URL with its NUL */

/* A finished file, as list_finished() finds it. Borrowed for the visit. */
struct ft_store_found {
	const char *place;		/* for log lines: where it lies */
	const char *owner_name;		/* what the names of owner and file were made of it */
	const char *file_name;
	const char *name;
	uint64_t size;			/* FT_STORE_TAKEN: a consumer took it, and left the manifest */
	const char *manifest;		/* NULL: there is none beside it, and it may be anything */
	size_t manifest_len;
};

/* Returns false to end the walk. */
typedef bool ft_store_visit(void *context, const struct ft_store_found *found);

/* Whether the transfer under a key is still unfinished; of leftovers of an earlier time only its escaped names are known. */
typedef bool ft_store_is_known(void *context, const char *owner_name, const char *file_name);

/* What consumers are told of one finished file. */
struct ft_notice {
	const char *title;		/* of its own, whenever it is told: no '/', does not begin with '.' */
	struct ft_key key;
	const char *name;
	const char *manifest;		/* a JSON object with members */
	size_t manifest_len;
};

/* A finished file that is to go. */
struct ft_removal {
	struct ft_key key;
	const char *name;
	enum ft_status status;		/* the result */
};

struct ft_space {
	uint64_t bytes;		/* free for the broker's user */
	uint64_t files;		/* inodes; UINT64_MAX where there is no such limit */
};

struct ft_store_ops {
	const char *name;	/* as in plugin_opt_store */

	/* --- required --- */

	/*
	 * Opens the store and makes what is missing in it. Refuses, with one line that says
	 * why, a place where two ids would share a name (case-insensitive), and a format that
	 * is newer than this code.
	 */
	enum ft_status (*open)(const struct ft_store_config *config, struct ft_store **out);

	/* Closes it; all uploads are closed. */
	void (*close)(struct ft_store **store);

	/* Opens a transfer's bytes. EXISTING: FT_NO_SUCH_TRANSFER where there are none. */
	enum ft_status (*upload_open)(struct ft_store *store, const struct ft_key *key,
				      enum ft_upload_mode mode, struct ft_upload **out);

	/*
	 * Gives the handle back. After discard() this is what frees the space, which may take
	 * seconds for a large file. NULL inside is ignored.
	 */
	void (*upload_close)(struct ft_upload **upload);

	/*
	 * Writes `len` bytes at `offset`; what was there is overwritten. After an error the
	 * bytes of [offset, offset + len) are undefined, others as they were. Where somebody
	 * removed the directories they are made again, if the upload is new (offset 0 and
	 * nothing before); FT_NO_SUCH_TRANSFER where the bytes themselves are gone.
	 */
	enum ft_status (*write)(struct ft_upload *upload, uint64_t offset, const void *bytes,
				size_t len);

	/* Reads exactly `len` bytes at `offset`. FT_IO_ERROR where there are fewer. */
	enum ft_status (*read)(struct ft_upload *upload, uint64_t offset, void *buffer, size_t len);

	/*
	 * Quick: from now on nothing lies under the key, and it may be begun anew. The space
	 * is freed by upload_close(), on whichever thread has time for it.
	 */
	enum ft_status (*discard)(struct ft_upload *upload);

	/*
	 * Makes each file visible under its name, with its manifest beside it, whole, durable
	 * as the store's durability says; of all at once, since a disk takes hardly longer for
	 * many than for one. Each has its own result, and none depends on another's. Where
	 * the file of this very transfer (transfer_id) is there already, that is FT_OK.
	 * Without any bytes only that is told, or FT_NO_SUCH_TRANSFER.
	 * On error nothing of it is visible, and the unfinished bytes are as before, except
	 * that bytes beyond `size` may be gone, and what `bytes_lost` says. FT_NAME_REFUSED:
	 * the file system cannot hold such a name.
	 */
	void (*publish)(struct ft_store *store, struct ft_publication *publications, size_t count);

	/*
	 * Whether the finished file `name` of a key is there: FT_OK where its manifest or the
	 * file itself is (consumers take either away at any time), else FT_NO_SUCH_TRANSFER.
	 * May come on another thread than that of a transfer that is unfinished under the key.
	 */
	enum ft_status (*find)(struct ft_store *store, const struct ft_key *key, const char *name);

	/*
	 * Reads exactly `len` bytes of a finished file. FT_NO_SUCH_TRANSFER: a consumer has
	 * taken it away. FT_IO_ERROR where there are fewer.
	 */
	enum ft_status (*read_finished)(struct ft_store *store, const struct ft_key *key,
					const char *name, uint64_t offset, void *buffer,
					size_t len);

	/*
	 * Removes finished files with their manifests, each with a result of its own; what else
	 * lies beside them stays. Gone already: FT_OK. FT_OK lasts over a power cut.
	 */
	void (*remove_finished)(struct ft_store *store, struct ft_removal *removals, size_t count);

	/*
	 * Visits every finished file that has a manifest, to make a lost catalog anew; and what
	 * lies there without one, as nobody's. A store where nobody else can put anything has none
	 * of these. FT_BUSY: they cannot be told now; the next start asks again.
	 */
	enum ft_status (*list_finished)(struct ft_store *store, ft_store_visit *visit,
					void *context);

	/* --- optional: NULL has the default that is named --- */

	/*
	 * Makes durable what write() had written before the call. Default: FT_OK.
	 * FT_IO_ERROR: an fsync failed, and is never to be repeated as if it could succeed.
	 */
	enum ft_status (*sync)(struct ft_upload *upload);

	/*
	 * Removes what an earlier process left half-made; bytes of unfinished transfers that
	 * nobody knows go to where damage is kept, with a line each, as does the whole
	 * unfinished part of an older format. Called once after the start, on a worker, while
	 * transfers come and go: what is in use is known. Default: nothing.
	 */
	enum ft_status (*sweep)(struct ft_store *store, ft_store_is_known *is_known, void *context);

	/*
	 * Says what the upload is to be called, and its transfer_id, so that a remote store can send
	 * bytes ahead. Nothing depends on it: publish() may come with another name. Quick. Default:
	 * nothing.
	 */
	void (*upload_expect)(struct ft_upload *upload, const char *name, const char *transfer_id);

	/*
	 * The engine stops: operations that wait for another machine, on any thread, are to end
	 * within a second or so, as if it could not be reached. Quick; any thread. Default: nothing.
	 */
	void (*interrupt)(struct ft_store *store);

	/*
	 * The manifest that lies beside the finished file `name` of a key, as it is there; *text, of
	 * *len bytes and with a NUL behind them, is the caller's to free. FT_NO_SUCH_TRANSFER: there is none.
	 * FT_DAMAGED: what is there is too long for one. May be called at any time. Default:
	 * FT_NO_SUCH_TRANSFER.
	 */
	enum ft_status (*read_manifest)(struct ft_store *store, const struct ft_key *key,
					const char *name, char **text, size_t *len);

	/* What is free. Default: unlimited. */
	enum ft_status (*space)(struct ft_store *store, struct ft_space *space);

	/* Whether such a name can be held: FT_OK, FT_NAME_REFUSED. Quick, no I/O. Default: FT_OK. */
	enum ft_status (*check_name)(const struct ft_store *store, const char *name);

	/*
	 * Opens the bytes of a finished file for another transfer, without sending them: to be read,
	 * and given to publish() as `upload`, which makes a link or a copy where they are. The
	 * finished file stays as it is, whatever becomes of them. FT_NO_SUCH_TRANSFER where it is gone, or where that cannot be done. Default: that.
	 */
	enum ft_status (*upload_link)(struct ft_store *store, const struct ft_key *from,
				      const char *from_name, const struct ft_key *key,
				      struct ft_upload **out);

	/*
	 * Gives a finished file another name, `to` in the directory `dir`, without a copy; the two
	 * names are independent then. FT_NO_SUCH_TRANSFER: a consumer has taken it away;
	 * FT_ALREADY_COMPLETE: `to` is there; FT_NAME_REFUSED: there are no links, or not to there.
	 * Default: FT_NAME_REFUSED.
	 */
	enum ft_status (*link_finished)(struct ft_store *store, const struct ft_key *key,
					const char *name, int dir, const char *to);

	/*
	 * Cuts an upload to `size` bytes, all of which are there, and says by which path below the
	 * directory of the config a program on this machine can read it until the handle is given
	 * back. FT_IO_ERROR where that does not fit. No default: option `on_complete` is refused.
	 */
	enum ft_status (*local_path)(struct ft_upload *upload, uint64_t size, char *path, size_t room);

	/*
	 * Writes a URL by which whoever has it can read a finished file for `ttl_s` seconds (1 to
	 * FT_STORE_URL_TTL_MAX_S) from the moment `now_s` (Unix seconds), and do nothing else. It is
	 * a secret and not to be logged. Nobody is asked whether the file is there. `url` has
	 * FT_STORE_URL_ROOM bytes. No default: there are no such URLs.
	 */
	enum ft_status (*url)(struct ft_store *store, const struct ft_key *key, const char *name,
			      int64_t now_s, uint32_t ttl_s, char *url);

	/*
	 * Tells consumers of finished files: puts notices, each with its manifest and where the
	 * file is, to where they look for them, whole and durable. One whose title is there
	 * already takes its place. After an error some may be there. Without any the place is
	 * made. One thread at a time. No default: option `done` is refused.
	 */
	enum ft_status (*announce)(struct ft_store *store, const struct ft_notice *notices,
				   size_t count);
};

/* The backend called `name`, or NULL. Static storage. */
const struct ft_store_ops *ft_store_backend(const char *name);

/* All backends, NULL-terminated: for messages and for the contract suite. */
const struct ft_store_ops *const *ft_store_backends(void);

/* The optional operations with their defaults. */
enum ft_status ft_store_sync(struct ft_upload *upload) FT_MUST_USE;
enum ft_status ft_store_sweep(struct ft_store *store, ft_store_is_known *is_known,
			      void *context) FT_MUST_USE;
void ft_store_upload_expect(struct ft_upload *upload, const char *name, const char *transfer_id);
void ft_store_interrupt(struct ft_store *store);
enum ft_status ft_store_read_manifest(struct ft_store *store, const struct ft_key *key,
				      const char *name, char **text, size_t *len) FT_MUST_USE;
enum ft_status ft_store_link_finished(struct ft_store *store, const struct ft_key *key,
				      const char *name, int dir, const char *to) FT_MUST_USE;
enum ft_status ft_store_space(struct ft_store *store, struct ft_space *space) FT_MUST_USE;
enum ft_status ft_store_check_name(const struct ft_store *store, const char *name) FT_MUST_USE;

#endif
