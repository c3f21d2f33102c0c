/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The s3 backend, private: finished files are objects in a bucket of S3, or of what speaks it.
 *
 *	<prefix>/<client>/<file>/<name>			the file
 *	<prefix>/<client>/<file>/<name>.manifest.json	put last: where it is, all is there
 *
 * Unfinished bytes lie on the local disk, by the backend fs, which does all that is local. A file
 * that grows beyond one part is sent ahead as a multipart upload; see parts.c.
 *
 *	address.c	the URL, keys (pure)		credentials.c	keys to sign with
 *	answer.c, xml.c	answers (pure)			curl.c		libcurl, loaded
 *	sign.c		URLs for others (pure)		copy.c		files of files
 *	request.c	one request, and what became of it
 *	weather.c	whether S3 can be reached, and the log lines about that
 *	pool.c		threads for several requests at a time
 *	parts.c		multipart uploads		publish.c	files become visible
 *	finished.c	find, read, remove, list	s3.c		the table, and the local part
 *
 * THREADS. The engine's, and those of the pool. `lock` guards what is said to be guarded; no
 * request is made while it is held.
 */
#ifndef FT_STORE_S3_S3_H
#define FT_STORE_S3_S3_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/system.h"
#include "file_transfer/ranges.h"
#include "file_transfer/store.h"
#include "store/backends.h"
#include "store/s3/address.h"
#include "store/s3/answer.h"
#include "store/s3/credentials.h"
#include "store/s3/curl.h"
#include "store/s3/sign.h"

#define S3_POOL_MAX 64
#define S3_IDLE_MAX 32			/* handles of libcurl, with their connections */
#define S3_BUCKETS 1024
#define S3_PARTS_MAX 10000		/* of one object */
#define S3_ANSWER_MAX ((size_t)8 * 1024 * 1024)
#define S3_ETAG_ROOM 72
#define S3_ID_ROOM 40			/* of a transfer */

/* Why S3 does not take files; texts and remedies are in weather.c. */
enum s3_trouble {
	S3_FINE,
	S3_UNREACHABLE,
	S3_TLS,
	S3_OVERLOADED,
	S3_NO_KEYS,
	S3_DENIED,
	S3_KEYS_WRONG,
	S3_KEYS_EXPIRED,
	S3_CLOCK,
	S3_NO_BUCKET,
	S3_FULL,
	S3_TOO_LARGE,
	S3_ELSEWHERE,
	S3_REFUSED,
	S3_TROUBLES
};

struct s3 {
	struct ft_store base;
	struct ft_store *local;		/* owned; the backend fs */
	struct ft_logger *logger;
	const struct ft_s3_settings *settings;
	struct s3_address address;
	struct s3_keyring keyring;
	char region[104];
	char signer[160];		/* for CURLOPT_AWS_SIGV4 */
	int notes;			/* directory: one file for each multipart upload */
	atomic_bool interrupted;
	atomic_bool no_condition;	/* this server refuses If-None-Match, */
	atomic_bool no_checksum;	/* ... x-amz-checksum-sha256, */
	atomic_bool no_copy;		/* ... x-amz-copy-source */
	atomic_bool condition_tried;	/* whether If-None-Match is obeyed was asked, */
	atomic_bool condition_holds;	/* ... and it is: 412 has come */
	atomic_bool unlisted;		/* the catalog is new and does not know what is here */
	pthread_mutex_t lock;
	pthread_cond_t changed;		/* a task is there or done, or `interrupted` */
	/* Guarded: */
	CURL *idle[S3_IDLE_MAX];
	size_t idle_count;
	struct ft_list tasks;
	struct ft_list behind;		/* those that large files are made of */
	size_t behind_running;
	struct ft_list transfers[S3_BUCKETS];	/* struct s3_transfer */
	enum s3_trouble trouble;
	unsigned failures;		/* in a row */
	int64_t retry_ms;		/* nobody tries before */
	bool probing;			/* somebody does */
	/* The pool's threads. */
	pthread_t threads[S3_POOL_MAX];
	size_t thread_count;
};

static inline struct s3 *s3_of(struct ft_store *store)
{
	return (struct s3 *)store;
}

/* --- request.c --- */

enum s3_patience {
	S3_ONCE,	/* one try of a few seconds: somebody waits */
	S3_PATIENT,	/* some tries */
};

struct s3_request {
	const char *method;		/* GET, HEAD, PUT, POST, DELETE */
	const char *object;		/* key; "": the bucket */
	const char *query;		/* encoded, in the order of its names; or NULL */
	const void *body;		/* of PUT and POST */
	size_t body_len;
	const char *headers[8];		/* besides those of each request; ends with NULL */
	enum s3_patience patience;
	/* Where the answer's body goes; NULL: to `text`. */
	void *to;
	size_t room;
	/* The answer. */
	char *text;			/* owned: s3_request_release() */
	size_t len;			/* of the body */
	long status;
	uint64_t length;		/* Content-Length */
	char etag[S3_ETAG_ROOM];	/* without its quotes; "": none */
	bool encrypted;			/* the ETag is no MD5 */
	char transfer[S3_ID_ROOM];	/* x-amz-meta-transfer */
	bool copied;			/* x-amz-meta-copied: see copy.c */
	char code[S3_CODE_ROOM], message[S3_MESSAGE_ROOM];	/* of an error */
	enum s3_trouble trouble;	/* with FT_BUSY; FINE: interrupted, or bad weather */
};

/*
 * Makes a request. FT_OK, FT_NO_SUCH_TRANSFER (no such object or upload), FT_ALREADY_COMPLETE (a
 * condition is not met), FT_REJECTED (the server does not take such a request: code, message),
 * FT_BUSY (not now, and the weather knows), FT_NO_MEMORY.
 */
enum ft_status s3_request(struct s3 *s3, struct s3_request *request) FT_MUST_USE;

void s3_request_release(struct s3_request *request);

/* --- weather.c --- */

/* Whether to try; false: not before some time has passed. Who was let through tells how it went. */
bool s3_weather_ask(struct s3 *s3);

/* The same for what is read: only where nothing can be reached it is not even tried. */
bool s3_weather_may_read(struct s3 *s3);

/* A file has arrived, or S3 had a reason of its own against it. */
void s3_weather_good(struct s3 *s3);

/* It could not be sent. `detail`: what libcurl or S3 said. FINE: nothing is to be said. */
void s3_weather_bad(struct s3 *s3, enum s3_trouble trouble, const char *detail);

/* Whether it is bad: more tries are of no use now. */
bool s3_weather_is_bad(struct s3 *s3);

/* --- pool.c --- */

struct s3_task {
	struct ft_link link;
	bool is_behind;
	void (*run)(struct s3_task *task);	/* on a thread of the pool; may free the task */
};

enum ft_status s3_pool_start(struct s3 *s3) FT_MUST_USE;
void s3_pool_stop(struct s3 *s3);	/* tasks that have not begun are run, interrupted */
void s3_pool_add(struct s3 *s3, struct s3_task *task);

/* The same of a task that takes long: two threads at least stay free for the others. */
void s3_pool_add_behind(struct s3 *s3, struct s3_task *task);

/* Sleeps, but not if interrupted. */
void s3_pause(struct s3 *s3, int ms);

/* --- parts.c --- */

struct s3_part {
	unsigned version;	/* raised whenever bytes in it are written */
	unsigned sent;		/* the version that S3 has; 0: none */
	size_t sent_len;
	bool queued;
	char etag[S3_ETAG_ROOM];
};

/*
 * What this process has seen of one unfinished transfer. Guarded by `lock` but for the ids. After a
 * restart nothing is known of what was written before, and nothing of it is sent ahead.
 */
struct s3_transfer {
	struct ft_link link;		/* in its bucket */
	size_t owner_len, file_len;
	char *ids;			/* owned; owner and file */
	unsigned users;			/* handles and tasks */
	bool over;			/* discarded or published: freed by the last user */
	char transfer_id[S3_ID_ROOM];
	char object[S3_KEY_ROOM];	/* what it is to be; "": not said */
	char upload_id[S3_UPLOAD_ID_ROOM];	/* of the multipart upload; "": none */
	char note[FT_UUID_ROOM];	/* its file in `notes` */
	bool begins;			/* a task makes the upload just now */
	bool waited_for;		/* publish() waits for them: they are tried in bad weather, too */
	size_t sending;			/* parts that are queued or on their way */
	enum ft_status failed;		/* the last part that failed; FT_OK: none since that was set */
	struct ft_ranges written;
	uint64_t end;			/* behind the last byte */
	struct s3_part *parts;		/* owned */
	size_t part_count;
};

/* Either of bytes on the local disk, or of a finished object. */
struct s3_upload {
	struct ft_upload base;
	struct ft_upload *local;	/* owned */
	struct s3_transfer *transfer;
	struct s3_source *source;	/* owned; then the others are NULL */
};

static inline struct s3_upload *s3_upload_of(struct ft_upload *upload)
{
	return (struct s3_upload *)upload;
}

/* The transfer under a key, made where it is not known. NULL: no memory. */
struct s3_transfer *s3_transfer_use(struct s3 *s3, const struct ft_key *key);
void s3_transfer_leave(struct s3 *s3, struct s3_transfer **transfer);

/* Bytes were written: parts that are whole now are sent ahead, changed ones count as not sent. */
void s3_parts_written(struct s3 *s3, struct s3_transfer *transfer, uint64_t offset, size_t len);

/* Whether to put what is there already. */
enum s3_condition { S3_IF_ABSENT, S3_ANYWAY };

/*
 * Sends what is not there yet, and makes `object` of it. FT_OK, FT_ALREADY_COMPLETE (the condition
 * is not met), FT_BUSY, FT_IO_ERROR (the bytes could not be read), FT_FILE_TOO_LARGE, FT_NO_MEMORY.
 */
enum ft_status s3_parts_finish(struct s3 *s3, struct s3_upload *upload,
			       const struct ft_publication *what, const char *object,
			       enum s3_condition condition) FT_MUST_USE;

/* Whether parts were sent ahead. */
bool s3_parts_are_begun(struct s3 *s3, struct s3_transfer *transfer);

/* It is discarded or published: what was sent ahead goes, once nobody uses it. Quick. */
void s3_transfer_end(struct s3 *s3, struct s3_transfer *transfer);

/* Takes back multipart uploads that an earlier process has begun. */
void s3_parts_sweep(struct s3 *s3);

/* --- copy.c --- */

/*
 * Opens a finished object, to be read and copied. FT_NO_SUCH_TRANSFER: it is gone, or cannot be
 * copied in one request. Not for two threads at a time.
 */
enum ft_status s3_source_open(struct s3 *s3, const struct ft_key *key, const char *name,
			      struct s3_source **out) FT_MUST_USE;
void s3_source_free(struct s3_source **source);

/* FT_NO_SUCH_TRANSFER: it is gone, or another one by now. FT_IO_ERROR: it has fewer bytes. */
enum ft_status s3_source_read(struct s3 *s3, struct s3_source *source, uint64_t offset, void *buffer,
			      size_t len) FT_MUST_USE;

/*
 * Makes `object` a copy of it, overwriting what is there. FT_NO_SUCH_TRANSFER: it is another one
 * by now, or not `size` bytes long, or the server does not copy.
 */
enum ft_status s3_source_copy(struct s3 *s3, const struct s3_source *source, const struct ft_key *key,
			      const char *object, const char *transfer_id, uint64_t size) FT_MUST_USE;

/* --- publish.c, finished.c --- */

void s3_publish(struct ft_store *store, struct ft_publication *publications, size_t count);

/* The headers of a new object: x-amz-meta-...; `room` for their text. NULL-terminated into `headers`. */
#define S3_META_ROOM 2600
void s3_meta_headers(const struct ft_key *key, const char *transfer_id, char room[S3_META_ROOM],
		     const char *headers[4]);

enum ft_status s3_list(struct s3 *s3, const char *prefix, enum s3_patience patience, s3_listed *visit,
		       void *context) FT_MUST_USE;

/* Reads a manifest; malloc'd. */
enum ft_status s3_read_manifest(struct s3 *s3, const char *object, char **text,
				size_t *len) FT_MUST_USE;

void s3_manifest_key(char manifest[S3_KEY_ROOM], const char *object);

/* FT_OK: it is gone, or was not there. FT_BUSY, FT_IO_ERROR. */
enum ft_status s3_delete(struct s3 *s3, const char *object) FT_MUST_USE;

/*
 * Whether an object is this transfer's and so long. FT_NO_SUCH_TRANSFER: another one, or none.
 * FT_INCOMPLETE: it was copied for this transfer, and whether of the right bytes is not known.
 */
enum ft_status s3_is_ours(struct s3 *s3, const char *object, const char *transfer_id,
			  uint64_t size) FT_MUST_USE;

enum ft_status s3_find(struct ft_store *store, const struct ft_key *key, const char *name);
enum ft_status s3_read_finished(struct ft_store *store, const struct ft_key *key, const char *name,
				uint64_t offset, void *buffer, size_t len);
void s3_remove_finished(struct ft_store *store, struct ft_removal *removals, size_t count);
enum ft_status s3_list_finished(struct ft_store *store, ft_store_visit *visit, void *context);
enum ft_status s3_url(struct ft_store *store, const struct ft_key *key, const char *name, int64_t now_s,
		      uint32_t ttl_s, char *url);

#endif
