/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Publishing: the object, and then its manifest, which says that all is there.
 *
 *	look		what lies under the id: a list of its folder; not where it can be left out
 *	send		the object, in one request or as a multipart upload
 *	manifest
 *	clean up	former files that were to be replaced; the local bytes
 *
 * Nothing is overwritten unasked: the list tells of what was there, and If-None-Match: * of what
 * has come since, where the server knows that. One that is known to obey it is not asked for the
 * list of a small file that is new: 412 says that there is something to look at. A publication may end after any step, and begins
 * anew then: an object that has this transfer's id in x-amz-meta-transfer is not sent again.
 */
#ifdef FT_S3
#include "store/s3/s3.h"

#include <assert.h>
#include <openssl/evp.h>

#include "base/sha256.h"
#include "base/sys.h"

#define PUBLISH_HEADERS 8
#define PUBLISH_TRIAL_MAX ((size_t)1024 * 1024)

/* --- headers --- */

/* An escaped id, as it may stand in a header: without bytes that are no ASCII. */
static void publish_add_id(struct ft_buf *to, const char *id, size_t len)
{
	char name[FT_NAME_ROOM];

	ft_escape(name, id, len);
	for (const char *p = name; *p; p++) {
		if ((unsigned char)*p < 0x80)
			ft_buf_char(to, *p);
		else
			ft_buf_printf(to, "%%%02X", (unsigned)(unsigned char)*p);
	}
}

void s3_meta_headers(const struct ft_key *key, const char *transfer_id, char room[S3_META_ROOM],
		     const char *headers[4])
{
	struct ft_buf to = ft_buf_on(room, S3_META_ROOM);

	headers[0] = room;
	ft_buf_str(&to, "x-amz-meta-client: ");
	publish_add_id(&to, key->owner, key->owner_len);
	ft_buf_bytes(&to, "", 1);
	headers[1] = room + to.len;
	ft_buf_str(&to, "x-amz-meta-file: ");
	publish_add_id(&to, key->file, key->file_len);
	ft_buf_bytes(&to, "", 1);
	headers[2] = room + to.len;
	ft_buf_printf(&to, "x-amz-meta-transfer: %s", transfer_id);
	headers[3] = NULL;
	assert(ft_buf_ok(&to));
}

/* --- one request --- */

struct publish_put {
	const char *object;
	const void *body;
	size_t len;
	const char *type;		/* "Content-Type: ..." */
	const struct ft_key *key;	/* metadata; NULL: none */
	const char *transfer_id;
	enum s3_condition condition;
	bool surely;			/* nothing is known of what is there: never without the condition */
	struct s3_request request;
	char meta[S3_META_ROOM], sum[32 + FT_SHA256_HEX_LEN], checksum[40 + 2 * FT_SHA256_LEN];
};

/* The ETag of one that is not encrypted with keys of its own is the MD5 of its bytes. */
static bool publish_etag_fits(const struct publish_put *put)
{
	uint8_t md5[EVP_MAX_MD_SIZE];
	char room[2 * EVP_MAX_MD_SIZE + 1];
	struct ft_buf hex = ft_buf_on(room, sizeof room);
	unsigned len = 0;

	if (strlen(put->request.etag) != 32 || put->request.encrypted
	    || EVP_Digest(put->body ? put->body : "", put->len, md5, &len, EVP_md5(), NULL) != 1)
		return true;
	ft_buf_hex(&hex, md5, len);
	return strcmp(room, put->request.etag) == 0;
}

static void publish_fill_headers(struct publish_put *put, bool asks, bool sums)
{
	const char **headers = put->request.headers;
	struct ft_buf sum = ft_buf_on(put->sum, sizeof put->sum);
	struct ft_sha256 digest;
	size_t n = 0;
	int len;

	headers[n++] = put->type;
	if (asks)
		headers[n++] = "If-None-Match: *";
	if (ft_sha256_of(put->body ? put->body : "", put->len, &digest)) {
		ft_buf_str(&sum, "x-amz-meta-sha256: ");
		ft_buf_hex(&sum, digest.bytes, FT_SHA256_LEN);
		len = snprintf(put->checksum, sizeof put->checksum, "x-amz-checksum-sha256: ");
		EVP_EncodeBlock((unsigned char *)put->checksum + len, digest.bytes, FT_SHA256_LEN);
		if (put->key)
			headers[n++] = put->sum;
		if (sums)
			headers[n++] = put->checksum;
	}
	headers[n] = NULL;
	if (put->key)
		s3_meta_headers(put->key, put->transfer_id, put->meta, &headers[n]);
	assert(n + 3 < PUBLISH_HEADERS);
}

static enum ft_status publish_try_put(struct s3 *s3, struct publish_put *put, bool asks, bool sums)
{
	memset(&put->request, 0, sizeof put->request);
	put->request.method = "PUT";
	put->request.object = put->object;
	put->request.body = put->body;
	put->request.body_len = put->len;
	put->request.patience = S3_PATIENT;
	publish_fill_headers(put, asks, sums);
	return s3_request(s3, &put->request);
}

/*
 * Whether the server obeys If-None-Match, or takes no notice of it: what was just put is put again.
 * Once a process, with a small object.
 */
static void publish_try_condition(struct s3 *s3, struct publish_put *put, bool sums)
{
	if (put->len > PUBLISH_TRIAL_MAX || atomic_exchange(&s3->condition_tried, true))
		return;
	s3_request_release(&put->request);
	if (publish_try_put(s3, put, true, sums) == FT_ALREADY_COMPLETE)
		atomic_store(&s3->condition_holds, true);
}

/* What a server does not know, it is not asked for again. */
static enum ft_status publish_put(struct s3 *s3, struct publish_put *put)
{
	bool asks = put->condition == S3_IF_ABSENT && !atomic_load(&s3->no_condition);
	bool sums = !atomic_load(&s3->no_checksum);
	enum ft_status st = publish_try_put(s3, put, asks, sums);
	char detail[400];

	if (st == FT_REJECTED && sums) {
		s3_request_release(&put->request);
		st = publish_try_put(s3, put, asks, false);
		if (st != FT_REJECTED)
			atomic_store(&s3->no_checksum, true);
	}
	if (st == FT_ALREADY_COMPLETE && asks)
		atomic_store(&s3->condition_holds, true);
	if (st == FT_REJECTED && put->surely) {
		s3_request_release(&put->request);
		atomic_store(&s3->condition_holds, false);
		return FT_ALREADY_COMPLETE;
	}
	if (st == FT_REJECTED && asks) {
		s3_request_release(&put->request);
		st = publish_try_put(s3, put, false, false);
		if (st != FT_REJECTED)
			atomic_store(&s3->no_condition, true);
	}
	if (st == FT_OK && !publish_etag_fits(put)) {
		/* It must not be taken for the file by the next try. */
		(void)(s3_delete(s3, put->object) != FT_OK);
		snprintf(detail, sizeof detail, "%.200s has the ETag %s, which is not that of what was sent",
			 put->object, put->request.etag);
		s3_weather_bad(s3, S3_REFUSED, detail);
		st = FT_BUSY;
	} else if (st == FT_REJECTED || st == FT_NO_SUCH_TRANSFER) {
		snprintf(detail, sizeof detail, "PUT of %.100s answered with %ld %s %.150s", put->object,
			 put->request.status, put->request.code, put->request.message);
		s3_weather_bad(s3, S3_REFUSED, detail);
		st = FT_BUSY;
	} else if (st == FT_OK && asks && !atomic_load(&s3->no_condition)) {
		publish_try_condition(s3, put, sums && !atomic_load(&s3->no_checksum));
	}
	s3_request_release(&put->request);
	return st;
}

enum ft_status s3_is_ours(struct s3 *s3, const char *object, const char *transfer_id, uint64_t size)
{
	struct s3_request r = { .method = "HEAD", .object = object, .patience = S3_PATIENT };
	enum ft_status st = s3_request(s3, &r);
	bool ours = strcmp(r.transfer, transfer_id) == 0;

	s3_request_release(&r);
	if (st == FT_OK && ours && r.copied)
		return FT_INCOMPLETE;
	if (st == FT_OK)
		return ours && r.length == size ? FT_OK : FT_NO_SUCH_TRANSFER;
	return st == FT_REJECTED || st == FT_ALREADY_COMPLETE ? FT_NO_SUCH_TRANSFER : st;
}

/* --- what lies there --- */

/* The folder of one id. */
struct publish_folder {
	size_t prefix_len;		/* of keys in it, up to the name */
	const char *name;
	bool has_file, has_manifest;
	uint64_t size;			/* of the file */
	char **others;			/* owned: other names, manifests too */
	size_t count, room;
	bool no_memory;
};

static void publish_release_folder(struct publish_folder *folder)
{
	while (folder->count > 0)
		free(folder->others[--folder->count]);
	free(folder->others);
	folder->others = NULL;
}

static bool publish_note_other(struct publish_folder *folder, const char *name)
{
	if (folder->count == folder->room) {
		size_t room = folder->room ? 2 * folder->room : 8;
		char **others = realloc(folder->others, room * sizeof *others);

		if (!others)
			return false;
		folder->others = others;
		folder->room = room;
	}
	if (!(folder->others[folder->count] = strdup(name)))
		return false;
	folder->count++;
	return true;
}

static bool publish_see(void *context, const char *object, uint64_t size)
{
	struct publish_folder *folder = context;
	const char *name = object + folder->prefix_len;
	size_t len = strlen(folder->name);

	if (strlen(object) <= folder->prefix_len || strchr(name, '/'))
		return true;
	if (strcmp(name, folder->name) == 0) {
		folder->has_file = true;
		folder->size = size;
	} else if (strncmp(name, folder->name, len) == 0 && strcmp(name + len, S3_MANIFEST_SUFFIX) == 0) {
		folder->has_manifest = true;
	} else if (!publish_note_other(folder, name)) {
		folder->no_memory = true;
		return false;
	}
	return true;
}

/* A finished file is one that has its manifest beside it. */
static bool publish_is_finished(const struct publish_folder *folder, size_t other)
{
	size_t len = strlen(folder->others[other]);

	for (size_t i = 0; i < folder->count; i++)
		if (strncmp(folder->others[i], folder->others[other], len) == 0
		    && strcmp(folder->others[i] + len, S3_MANIFEST_SUFFIX) == 0)
			return true;
	return false;
}

static bool publish_has_other(const struct publish_folder *folder)
{
	for (size_t i = 0; i < folder->count; i++)
		if (publish_is_finished(folder, i))
			return true;
	return false;
}

/* --- one publication --- */

struct publishing {
	struct s3_task task;
	struct s3 *s3;
	struct ft_publication *what;
	struct s3_upload *upload;	/* NULL: from memory, or nothing */
	char object[S3_KEY_ROOM], manifest[S3_KEY_ROOM];
	struct publish_folder folder;
	enum {
		PUBLISH_ABSENT,
		PUBLISH_COPIED,		/* the object is this transfer's, and may have any bytes */
		PUBLISH_SENT,		/* the object is this transfer's */
		PUBLISH_THERE,		/* ... and so is the manifest */
	} state;
	enum ft_status status;
	size_t *left;			/* guarded by the store's lock; NULL: nobody waits */
};

static enum ft_status publish_list(struct publishing *p)
{
	char prefix[S3_KEY_ROOM];
	enum ft_status st;

	s3_address_key(&p->s3->address, &p->what->key, NULL, prefix);
	p->folder.prefix_len = strlen(prefix);
	p->folder.name = p->what->name;
	st = s3_list(p->s3, prefix, S3_PATIENT, publish_see, &p->folder);
	return st == FT_OK && p->folder.no_memory ? FT_NO_MEMORY : st;
}

static enum ft_status publish_look_at_manifest(struct publishing *p, bool *owns)
{
	enum ft_status st;
	char *text;
	size_t len;

	*owns = false;
	if (!p->folder.has_manifest)
		return FT_OK;
	st = s3_read_manifest(p->s3, p->manifest, &text, &len);
	*owns = st == FT_OK && memmem(text, len, p->what->transfer_id, strlen(p->what->transfer_id));
	free(text);
	return st == FT_NO_SUCH_TRANSFER || st == FT_DAMAGED ? FT_OK : st;
}

static enum ft_status publish_look(struct publishing *p)
{
	const struct ft_publication *what = p->what;
	bool owns_manifest;
	enum ft_status st;

	if ((st = publish_list(p)) != FT_OK || (st = publish_look_at_manifest(p, &owns_manifest)) != FT_OK)
		return st;
	if (owns_manifest && p->folder.has_file && p->folder.size == what->size) {
		p->state = PUBLISH_THERE;
		return FT_OK;
	}
	if (what->mode == FT_PUBLISH_ASK || (!p->upload && !what->bytes && what->size > 0))
		return FT_NO_SUCH_TRANSFER;
	if (p->folder.has_file) {
		st = s3_is_ours(p->s3, p->object, what->transfer_id, what->size);
		if (st == FT_OK)
			p->state = PUBLISH_SENT;
		else if (st == FT_INCOMPLETE)
			p->state = PUBLISH_COPIED;
		else if (st != FT_NO_SUCH_TRANSFER)
			return st;
	}
	if (what->mode == FT_PUBLISH_KEEP
	    && ((p->folder.has_file && p->state == PUBLISH_ABSENT) || publish_has_other(&p->folder)))
		return FT_ALREADY_COMPLETE;
	return FT_OK;
}

enum publish_certainty { PUBLISH_LOOKED, PUBLISH_UNSEEN };

static enum ft_status publish_send_bytes(struct publishing *p, const void *bytes,
					 enum s3_condition condition, enum publish_certainty certainty)
{
	struct publish_put *put = calloc(1, sizeof *put);
	enum ft_status st;

	if (!put)
		return FT_NO_MEMORY;
	put->object = p->object;
	put->body = bytes;
	put->len = (size_t)p->what->size;
	put->type = "Content-Type: application/octet-stream";
	put->key = &p->what->key;
	put->transfer_id = p->what->transfer_id;
	put->condition = condition;
	put->surely = certainty == PUBLISH_UNSEEN;
	st = publish_put(p->s3, put);
	free(put);
	return st;
}

/* Whether it goes in one request, from here. */
static bool publish_is_small(struct publishing *p)
{
	struct s3_upload *up = p->upload;

	if (!up)
		return true;
	return p->what->size <= p->s3->settings->part_size && !up->source
	       && (p->what->size == 0 || !s3_parts_are_begun(p->s3, up->transfer));
}

static enum ft_status publish_send_small(struct publishing *p, enum s3_condition condition,
					 enum publish_certainty certainty)
{
	size_t len = (size_t)p->what->size;
	enum ft_status st = FT_OK;
	char *bytes;

	if (!p->upload)
		return publish_send_bytes(p, p->what->bytes, condition, certainty);
	if (!(bytes = malloc(len + 1)))
		return FT_NO_MEMORY;
	if (len > 0)
		st = ft_store_fs.read(p->upload->local, 0, bytes, len);
	if (st == FT_OK)
		st = publish_send_bytes(p, bytes, condition, certainty);
	free(bytes);
	return st;
}

static enum ft_status publish_send_all(struct publishing *p, enum s3_condition condition)
{
	if (publish_is_small(p))
		return publish_send_small(p, condition, PUBLISH_LOOKED);
	if (p->upload->source)
		return s3_source_copy(p->s3, p->upload->source, &p->what->key, p->object,
				      p->what->transfer_id, p->what->size);
	return s3_parts_finish(p->s3, p->upload, p->what, p->object, condition);
}

static enum ft_status publish_send(struct publishing *p)
{
	enum s3_condition condition = p->folder.has_file ? S3_ANYWAY : S3_IF_ABSENT;
	char last;
	enum ft_status st = FT_OK;

	if (p->state == PUBLISH_SENT || p->state == PUBLISH_THERE)
		return FT_OK;
	if (p->upload && p->upload->local && p->what->size > 0)	/* all of it is there? */
		st = ft_store_fs.read(p->upload->local, p->what->size - 1, &last, 1);
	if (st != FT_OK)
		return st;
	for (int tries = 0; tries < 2; tries++) {
		st = publish_send_all(p, condition);
		if (st != FT_ALREADY_COMPLETE)
			return st;
		/* It has come since: by a try of ours whose answer was lost, or by somebody else. */
		st = s3_is_ours(p->s3, p->object, p->what->transfer_id, p->what->size);
		if (st != FT_INCOMPLETE
		    && (st != FT_NO_SUCH_TRANSFER || p->what->mode != FT_PUBLISH_REPLACE))
			return st == FT_NO_SUCH_TRANSFER ? FT_ALREADY_COMPLETE : st;
		condition = S3_ANYWAY;
	}
	return FT_ALREADY_COMPLETE;
}

/* Without a look: FT_ALREADY_COMPLETE where one is needed. */
static enum ft_status publish_send_unseen(struct publishing *p)
{
	const struct ft_publication *what = p->what;
	struct s3 *s3 = p->s3;

	if (what->mode != FT_PUBLISH_KEEP || !what->first || !atomic_load(&s3->condition_holds) || atomic_load(&s3->no_condition)
	    || atomic_load(&s3->unlisted) || (!p->upload && !what->bytes && what->size > 0)
	    || !publish_is_small(p))
		return FT_ALREADY_COMPLETE;
	return publish_send_small(p, S3_IF_ABSENT, PUBLISH_UNSEEN);
}

static enum ft_status publish_send_object(struct publishing *p)
{
	enum ft_status st = publish_send_unseen(p);

	if (st != FT_ALREADY_COMPLETE)
		return st;
	if ((st = publish_look(p)) != FT_OK)
		return st;
	return publish_send(p);
}

static enum ft_status publish_send_manifest(struct publishing *p)
{
	struct publish_put *put;
	enum ft_status st;

	if (p->state == PUBLISH_THERE)
		return FT_OK;
	if (!(put = calloc(1, sizeof *put)))
		return FT_NO_MEMORY;
	put->object = p->manifest;
	put->body = p->what->manifest;
	put->len = p->what->manifest_len;
	put->type = "Content-Type: application/json";
	put->condition = S3_ANYWAY;
	st = publish_put(p->s3, put);
	free(put);
	return st;
}

/* Files of other names that were to be replaced; what stays is logged, and harms nobody. */
static void publish_remove_former(struct publishing *p)
{
	char object[S3_KEY_ROOM], manifest[S3_KEY_ROOM];

	if (p->what->mode != FT_PUBLISH_REPLACE)
		return;
	for (size_t i = 0; i < p->folder.count; i++) {
		if (!publish_is_finished(&p->folder, i) || strlen(p->folder.others[i]) > 240)
			continue;
		s3_address_key(&p->s3->address, &p->what->key, p->folder.others[i], object);
		s3_manifest_key(manifest, object);
		if (s3_delete(p->s3, object) == FT_OK)
			(void)(s3_delete(p->s3, manifest) != FT_OK);
	}
}

/* --- the local side --- */

/* It is in S3; the local bytes go, or become a finished file here, too. */
static void publish_settle(struct publishing *p)
{
	struct ft_publication local = *p->what;
	struct ft_upload *bytes = p->upload ? p->upload->local : NULL;

	if (p->upload)
		p->upload->local = NULL;
	local.upload = bytes;
	local.mode = FT_PUBLISH_REPLACE;
	if (p->s3->settings->keep_local && (bytes || local.bytes || local.size == 0)) {
		ft_store_fs.publish(p->s3->local, &local, 1);
		if (local.status == FT_OK)
			return;
		ft_logger_printf(p->s3->logger, FT_LOG_WARNING, "%.300s is in S3, but not kept in files/: %s",
				 p->object, ft_status_text(local.status));
		if (p->upload
		    && ft_store_fs.upload_open(p->s3->local, &p->what->key, FT_UPLOAD_EXISTING, &bytes) != FT_OK)
			bytes = NULL;
	}
	if (bytes && ft_store_fs.discard(bytes) != FT_OK)
		ft_logger_printf(p->s3->logger, FT_LOG_WARNING, "the local bytes of %.300s could not be removed",
				 p->object);
	ft_store_fs.upload_close(&bytes);
}

static void publish_run(struct publishing *p)
{
	if (!s3_weather_ask(p->s3)) {
		p->status = FT_BUSY;
		return;
	}
	p->status = publish_send_object(p);
	if (p->status == FT_OK)
		p->status = publish_send_manifest(p);
	if (p->status == FT_OK)
		publish_remove_former(p);
	if (p->status == FT_OK || p->status == FT_ALREADY_COMPLETE || p->status == FT_NO_SUCH_TRANSFER)
		s3_weather_good(p->s3);
	else	/* where it was S3, the request has told why */
		s3_weather_bad(p->s3, S3_FINE, "");
}

static void publish_conclude(struct publishing *p)
{
	struct ft_upload *upload = p->what->upload;

	p->what->upload = NULL;
	p->what->status = p->status;
	p->what->later = p->status == FT_BUSY;
	if (p->status == FT_OK && p->what->mode != FT_PUBLISH_ASK) {
		publish_settle(p);
		if (p->upload && p->upload->transfer)
			s3_transfer_end(p->s3, p->upload->transfer);
	}
	publish_release_folder(&p->folder);
	ft_store_s3.upload_close(&upload);
}

static void publish_task(struct s3_task *task)
{
	struct publishing *p = FT_CONTAINER(task, struct publishing, task);
	struct s3 *s3 = p->s3;

	publish_run(p);
	pthread_mutex_lock(&s3->lock);
	--*p->left;
	pthread_cond_broadcast(&s3->changed);
	pthread_mutex_unlock(&s3->lock);
}

/* Small ones side by side on the pool; one that is made of parts here, since the pool sends those. */
static void publish_run_all(struct s3 *s3, struct publishing *all, size_t count)
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		bool alone = count == 1 || (all[i].upload && all[i].what->size > s3->settings->part_size);

		all[i].left = alone ? NULL : &left;
		left += !alone;
	}
	for (size_t i = 0; i < count; i++)
		if (all[i].left)
			s3_pool_add(s3, &all[i].task);
	for (size_t i = 0; i < count; i++)
		if (!all[i].left)
			publish_run(&all[i]);
	pthread_mutex_lock(&s3->lock);
	while (left > 0)
		pthread_cond_wait(&s3->changed, &s3->lock);
	pthread_mutex_unlock(&s3->lock);
}

void s3_publish(struct ft_store *store, struct ft_publication *publications, size_t count)
{
	struct publishing *all = calloc(count, sizeof *all);

	for (size_t i = 0; i < count; i++) {
		struct ft_publication *what = &publications[i];

		what->bytes_lost = what->later = false;
		what->status = FT_NO_MEMORY;
		if (!all) {
			ft_store_s3.upload_close(&what->upload);
			continue;
		}
		all[i].task.run = publish_task;
		all[i].s3 = s3_of(store);
		all[i].what = what;
		all[i].upload = what->upload ? s3_upload_of(what->upload) : NULL;
		s3_address_key(&all[i].s3->address, &what->key, what->name, all[i].object);
		s3_manifest_key(all[i].manifest, all[i].object);
	}
	if (!all)
		return;
	publish_run_all(s3_of(store), all, count);
	for (size_t i = 0; i < count; i++)
		publish_conclude(&all[i]);
	free(all);
}
#else
typedef int s3_publish_is_not_built_in;
#endif
