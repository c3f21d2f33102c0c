/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Multipart uploads. While a file arrives, each part of it that is whole is sent, as soon as there
 * are bytes behind it (else it might be the whole file, which one request does). So at the end the
 * last part is left, and what was written again since it was sent.
 *
 *	CreateMultipartUpload	by the first part; a file in s3/ notes it
 *	UploadPart		on the pool
 *	CompleteMultipartUpload	by publish()
 *	AbortMultipartUpload	where it is discarded, or by the next process's sweep
 *
 * A part has a version, raised behind each write to it: what was read while somebody wrote counts
 * as not sent.
 */
#ifdef FT_S3
#include "store/s3/s3.h"

#include <assert.h>

#include "base/sys.h"

#define PARTS_COMPLETE_TRIES 3

/* --- transfers --- */

static size_t parts_bucket(const struct ft_key *key)
{
	uint64_t hash = 14695981039346656037u;	/* FNV-1a */

	for (size_t i = 0; i < key->owner_len; i++)
		hash = (hash ^ (unsigned char)key->owner[i]) * 1099511628211u;
	for (size_t i = 0; i < key->file_len; i++)
		hash = (hash ^ (unsigned char)key->file[i]) * 1099511628211u;
	return (size_t)(hash % S3_BUCKETS);
}

static struct ft_key parts_key(const struct s3_transfer *t)
{
	return (struct ft_key){ t->ids, t->owner_len, t->ids + t->owner_len, t->file_len };
}

static bool parts_is(const struct s3_transfer *t, const struct ft_key *key)
{
	return t->owner_len == key->owner_len && t->file_len == key->file_len
	       && memcmp(t->ids, key->owner_len ? key->owner : "", key->owner_len) == 0
	       && memcmp(t->ids + t->owner_len, key->file, key->file_len) == 0;
}

static struct s3_transfer *parts_new(const struct ft_key *key)
{
	struct s3_transfer *t = calloc(1, sizeof *t);

	if (!t || !(t->ids = malloc(key->owner_len + key->file_len + 1))) {
		free(t);
		return NULL;
	}
	if (key->owner_len > 0)
		memcpy(t->ids, key->owner, key->owner_len);
	memcpy(t->ids + key->owner_len, key->file, key->file_len);
	t->owner_len = key->owner_len;
	t->file_len = key->file_len;
	ft_link_init(&t->link);
	ft_ranges_init(&t->written);
	return t;
}

static void parts_free(struct s3_transfer *t)
{
	ft_ranges_release(&t->written);
	free(t->parts);
	free(t->ids);
	free(t);
}

struct s3_transfer *s3_transfer_use(struct s3 *s3, const struct ft_key *key)
{
	struct ft_list *bucket = &s3->transfers[parts_bucket(key)];
	struct s3_transfer *t = NULL;

	pthread_mutex_lock(&s3->lock);
	for (struct ft_link *link = bucket->head.next; !t && link != &bucket->head; link = link->next)
		if (parts_is(FT_CONTAINER(link, struct s3_transfer, link), key))
			t = FT_CONTAINER(link, struct s3_transfer, link);
	if (!t && (t = parts_new(key)) != NULL)
		ft_list_push(bucket, &t->link);
	if (t)
		t->users++;
	pthread_mutex_unlock(&s3->lock);
	return t;
}

void s3_transfer_end(struct s3 *s3, struct s3_transfer *transfer)
{
	pthread_mutex_lock(&s3->lock);
	transfer->over = true;
	ft_link_remove(&transfer->link);
	pthread_mutex_unlock(&s3->lock);
}

/* --- aborts --- */

struct parts_abort {
	struct s3_task task;
	struct s3 *s3;
	char object[S3_KEY_ROOM];
	char upload_id[S3_UPLOAD_ID_ROOM];
	char note[NAME_MAX + 1];
};

static void parts_query(struct ft_buf *query, const char *upload_id, size_t part)
{
	if (part > 0)
		ft_buf_printf(query, "partNumber=%zu&", part);
	ft_buf_str(query, "uploadId=");
	s3_address_encode(query, upload_id);
}

/* One that cannot be told now keeps its note, for the next start. */
static void parts_run_abort(struct s3_task *task)
{
	struct parts_abort *abort = FT_CONTAINER(task, struct parts_abort, task);
	char room[3 * S3_UPLOAD_ID_ROOM + 64];
	struct ft_buf query = ft_buf_on(room, sizeof room);
	struct s3_request r = {
		.method = "DELETE", .object = abort->object, .query = room, .patience = S3_PATIENT,
	};
	enum ft_status st;

	parts_query(&query, abort->upload_id, 0);
	st = s3_request(abort->s3, &r);
	if (st == FT_OK || st == FT_NO_SUCH_TRANSFER)
		(void)ft_sys_unlinkat(abort->s3->notes, abort->note, 0);
	s3_request_release(&r);
	free(abort);
}

static void parts_abort(struct s3 *s3, const char *object, const char *upload_id, const char *note)
{
	struct parts_abort *abort = calloc(1, sizeof *abort);

	if (!abort)
		return;
	abort->task.run = parts_run_abort;
	abort->s3 = s3;
	snprintf(abort->object, sizeof abort->object, "%s", object);
	snprintf(abort->upload_id, sizeof abort->upload_id, "%s", upload_id);
	snprintf(abort->note, sizeof abort->note, "%s", note);
	s3_pool_add(s3, &abort->task);
}

void s3_transfer_leave(struct s3 *s3, struct s3_transfer **transfer)
{
	struct s3_transfer *t = *transfer;
	bool last;

	*transfer = NULL;
	if (!t)
		return;
	pthread_mutex_lock(&s3->lock);
	assert(t->users > 0);
	last = --t->users == 0 && t->over;
	pthread_mutex_unlock(&s3->lock);
	if (!last)
		return;
	if (t->upload_id[0])
		parts_abort(s3, t->object, t->upload_id, t->note);
	parts_free(t);
}

/* --- notes --- */

static bool parts_write_note(struct s3 *s3, struct s3_transfer *t)
{
	char text[S3_KEY_ROOM + S3_UPLOAD_ID_ROOM + 8];
	int len = snprintf(text, sizeof text, "%s\n%s\n", t->object, t->upload_id), fd;
	bool good;

	ft_uuid(t->note);
	fd = ft_sys_openat(s3->notes, t->note, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	good = fd >= 0 && ft_sys_write_all(fd, text, (size_t)len, 0) && ft_sys_fsync(fd) == 0;
	if (!good)
		ft_logger_printf(s3->logger, FT_LOG_WARNING, "s3/%s cannot be written (%s): if the broker is "
				 "killed now, an unfinished multipart upload stays in the bucket", t->note,
				 strerror(errno));
	ft_sys_close(fd);
	return good;
}

static void parts_drop_note(struct s3 *s3, struct s3_transfer *t)
{
	(void)ft_sys_unlinkat(s3->notes, t->note, 0);
	t->note[0] = t->upload_id[0] = '\0';
}

static void parts_sweep_note(struct s3 *s3, const char *name)
{
	char text[S3_KEY_ROOM + S3_UPLOAD_ID_ROOM + 8], *line, *end;
	int fd = ft_sys_openat(s3->notes, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	ssize_t got = fd >= 0 ? ft_sys_read_all(fd, text, sizeof text - 1, 0) : -1;

	ft_sys_close(fd);
	if (got < 0)
		return;
	text[got] = '\0';
	if ((line = strchr(text, '\n')) != NULL && (end = strchr(line + 1, '\n')) != NULL) {
		*line++ = *end = '\0';
		parts_abort(s3, text, line, name);
	} else {	/* it was being written when the process ended */
		(void)ft_sys_unlinkat(s3->notes, name, 0);
	}
}

void s3_parts_sweep(struct s3 *s3)
{
	int fd = ft_sys_openat(s3->notes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir)
		ft_sys_close(fd);
	while (dir && (entry = ft_sys_readdir(dir)) != NULL)
		parts_sweep_note(s3, entry->d_name);
	if (dir)
		closedir(dir);
}

/* --- begin --- */

/* What S3 did not take, and no weather knows of. */
static enum ft_status parts_refused(struct s3 *s3, const struct s3_request *r, enum ft_status st)
{
	char detail[400];

	if (st != FT_REJECTED && st != FT_NO_SUCH_TRANSFER && st != FT_ALREADY_COMPLETE)
		return st;
	snprintf(detail, sizeof detail, "%s of %.100s answered with %ld %s %.150s", r->method, r->object,
		 r->status, r->code, r->message);
	s3_weather_bad(s3, S3_REFUSED, detail);
	return FT_BUSY;
}

static enum ft_status parts_create(struct s3 *s3, struct s3_transfer *t)
{
	const struct ft_key key = parts_key(t);
	char room[S3_META_ROOM];
	struct s3_request r = {
		.method = "POST", .object = t->object, .query = "uploads=", .patience = S3_PATIENT,
		.headers = { "Content-Type: application/octet-stream" },
	};
	enum ft_status st;

	s3_meta_headers(&key, t->transfer_id, room, &r.headers[1]);
	st = s3_request(s3, &r);
	if (st == FT_OK && !s3_answer_upload_id(r.text ? r.text : "", r.len, t->upload_id))
		st = FT_REJECTED;
	if (st == FT_OK)
		(void)parts_write_note(s3, t);
	st = parts_refused(s3, &r, st);
	s3_request_release(&r);
	return st;
}

/* One task makes the upload, others wait for it. */
static enum ft_status parts_begin(struct s3 *s3, struct s3_transfer *t)
{
	enum ft_status st = FT_OK;

	pthread_mutex_lock(&s3->lock);
	while (t->begins)
		pthread_cond_wait(&s3->changed, &s3->lock);
	if (!t->upload_id[0]) {
		t->begins = true;
		pthread_mutex_unlock(&s3->lock);
		st = parts_create(s3, t);
		pthread_mutex_lock(&s3->lock);
		t->begins = false;
		pthread_cond_broadcast(&s3->changed);
	}
	pthread_mutex_unlock(&s3->lock);
	return st;
}

/* --- send --- */

struct parts_sending {
	struct s3_task task;
	struct s3 *s3;
	struct s3_transfer *transfer;	/* used */
	size_t index;
	size_t len;
};

static enum ft_status parts_read(struct s3 *s3, struct s3_transfer *t, uint64_t offset, void *bytes,
				 size_t len)
{
	const struct ft_key key = parts_key(t);
	struct ft_upload *local;
	enum ft_status st = ft_store_fs.upload_open(s3->local, &key, FT_UPLOAD_EXISTING, &local);

	if (st == FT_OK)
		st = ft_store_fs.read(local, offset, bytes, len);
	ft_store_fs.upload_close(&local);
	return st == FT_NO_SUCH_TRANSFER ? FT_IO_ERROR : st;
}

static enum ft_status parts_put(struct parts_sending *sending, const void *bytes, char *etag)
{
	struct s3 *s3 = sending->s3;
	struct s3_transfer *t = sending->transfer;
	char room[3 * S3_UPLOAD_ID_ROOM + 64];
	struct ft_buf query = ft_buf_on(room, sizeof room);
	struct s3_request r = {
		.method = "PUT", .object = t->object, .query = room, .body = bytes,
		.body_len = sending->len, .patience = S3_PATIENT,
	};
	enum ft_status st;

	parts_query(&query, t->upload_id, sending->index + 1);
	st = s3_request(s3, &r);
	if (st == FT_OK && !r.etag[0])
		st = FT_REJECTED;
	if (st == FT_OK)
		memcpy(etag, r.etag, S3_ETAG_ROOM);
	if (st != FT_NO_SUCH_TRANSFER)	/* the upload is gone: s3_parts_finish() begins anew */
		st = parts_refused(s3, &r, st);
	s3_request_release(&r);
	return st;
}

static enum ft_status parts_send(struct parts_sending *sending, char *etag)
{
	struct s3 *s3 = sending->s3;
	struct s3_transfer *t = sending->transfer;
	enum ft_status st;
	char *bytes;

	if (atomic_load(&s3->interrupted) || (s3_weather_is_bad(s3) && !t->waited_for))
		return FT_BUSY;
	if ((st = parts_begin(s3, t)) != FT_OK)
		return st;
	if (!(bytes = malloc(sending->len)))
		return FT_NO_MEMORY;
	st = parts_read(s3, t, sending->index * s3->settings->part_size, bytes, sending->len);
	if (st == FT_OK)
		st = parts_put(sending, bytes, etag);
	free(bytes);
	return st;
}

static void parts_run(struct s3_task *task)
{
	struct parts_sending *sending = FT_CONTAINER(task, struct parts_sending, task);
	struct s3 *s3 = sending->s3;
	struct s3_transfer *t = sending->transfer;
	char etag[S3_ETAG_ROOM];
	struct s3_part *part;
	enum ft_status st = FT_OK;
	unsigned version;
	bool over;

	pthread_mutex_lock(&s3->lock);
	version = t->parts[sending->index].version;
	over = t->over;
	pthread_mutex_unlock(&s3->lock);
	if (!over)
		st = parts_send(sending, etag);
	pthread_mutex_lock(&s3->lock);
	part = &t->parts[sending->index];
	part->queued = false;
	if (!over && st == FT_OK) {
		part->sent = version;
		part->sent_len = sending->len;
		memcpy(part->etag, etag, sizeof etag);
	} else if (!over) {
		t->failed = st;
	}
	t->sending--;
	pthread_cond_broadcast(&s3->changed);
	pthread_mutex_unlock(&s3->lock);
	s3_transfer_leave(s3, &t);
	free(sending);
}

/* With the lock. Without memory it is sent at the end. */
static struct parts_sending *parts_queue(struct s3 *s3, struct s3_transfer *t, size_t index, size_t len)
{
	struct parts_sending *sending = calloc(1, sizeof *sending);

	if (!sending)
		return NULL;
	sending->task.run = parts_run;
	sending->s3 = s3;
	sending->transfer = t;
	sending->index = index;
	sending->len = len;
	t->parts[index].queued = true;
	t->sending++;
	t->users++;
	return sending;
}

static bool parts_grow(struct s3_transfer *t, size_t count)
{
	struct s3_part *parts;

	if (count <= t->part_count)
		return true;
	if (count > S3_PARTS_MAX || !(parts = realloc(t->parts, count * sizeof *parts)))
		return false;
	memset(parts + t->part_count, 0, (count - t->part_count) * sizeof *parts);
	t->parts = parts;
	t->part_count = count;
	return true;
}

static bool parts_is_sent(const struct s3_part *part, size_t len)
{
	return part->etag[0] && part->sent == part->version && part->sent_len == len;
}

/* With the lock: whether part `index` is to be sent ahead. */
static bool parts_is_ready(const struct s3 *s3, const struct s3_transfer *t, size_t index)
{
	uint64_t size = s3->settings->part_size, start = index * size;
	const struct s3_part *part = &t->parts[index];

	return !part->queued && !parts_is_sent(part, (size_t)size) && start + size < t->end
	       && ft_ranges_cover(&t->written, start, start + size);
}

void s3_parts_written(struct s3 *s3, struct s3_transfer *transfer, uint64_t offset, size_t len)
{
	uint64_t size = s3->settings->part_size;
	uint64_t first = offset / size, last = (offset + len - 1) / size;
	struct s3_transfer *t = transfer;

	if (last >= S3_PARTS_MAX)
		return;
	pthread_mutex_lock(&s3->lock);
	if (offset + len > t->end)
		t->end = offset + len;
	if (parts_grow(t, (size_t)last + 1)
	    && ft_ranges_restore(&t->written, offset, offset + len) != FT_OK)
		ft_ranges_release(&t->written);
	for (uint64_t i = first; i <= last && i < t->part_count; i++)
		t->parts[i].version++;
	for (uint64_t i = first > 0 ? first - 1 : 0; t->object[0] && i <= last && i < t->part_count; i++) {
		struct parts_sending *sending;

		if (s3->trouble != S3_FINE || !parts_is_ready(s3, t, (size_t)i)
		    || !(sending = parts_queue(s3, t, (size_t)i, (size_t)size)))
			continue;
		pthread_mutex_unlock(&s3->lock);
		s3_pool_add_behind(s3, &sending->task);
		pthread_mutex_lock(&s3->lock);
	}
	pthread_mutex_unlock(&s3->lock);
}

bool s3_parts_are_begun(struct s3 *s3, struct s3_transfer *transfer)
{
	bool begun;

	pthread_mutex_lock(&s3->lock);
	begun = transfer->upload_id[0] || transfer->sending > 0;
	pthread_mutex_unlock(&s3->lock);
	return begun;
}

/* --- finish --- */

/* With the lock: parts that are on their way arrive, or do not. */
static void parts_wait(struct s3 *s3, struct s3_transfer *t)
{
	while (t->sending > 0)
		pthread_cond_wait(&s3->changed, &s3->lock);
}

static size_t parts_len(const struct s3 *s3, const struct ft_publication *what, size_t index)
{
	uint64_t left = what->size - index * s3->settings->part_size;

	return left < s3->settings->part_size ? (size_t)left : (size_t)s3->settings->part_size;
}

/* Sends what is missing of `count` parts, side by side. */
static enum ft_status parts_send_rest(struct s3 *s3, struct s3_transfer *t,
				      const struct ft_publication *what, size_t count)
{
	enum ft_status st;

	pthread_mutex_lock(&s3->lock);
	parts_wait(s3, t);
	t->failed = FT_OK;
	t->waited_for = true;
	for (size_t i = 0; t->failed == FT_OK && i < count; i++) {
		struct parts_sending *sending;
		size_t len = parts_len(s3, what, i);

		if (parts_is_sent(&t->parts[i], len))
			continue;
		if (!(sending = parts_queue(s3, t, i, len))) {
			t->failed = FT_NO_MEMORY;
			break;
		}
		pthread_mutex_unlock(&s3->lock);
		s3_pool_add_behind(s3, &sending->task);
		pthread_mutex_lock(&s3->lock);
	}
	parts_wait(s3, t);
	t->waited_for = false;
	st = t->failed;
	pthread_mutex_unlock(&s3->lock);
	return st;
}

static enum ft_status parts_post_complete(struct s3 *s3, struct s3_transfer *t, const struct ft_buf *body,
					  enum s3_condition condition)
{
	char room[3 * S3_UPLOAD_ID_ROOM + 64];
	struct ft_buf query = ft_buf_on(room, sizeof room);
	struct s3_request r = {
		.method = "POST", .object = t->object, .query = room, .body = body->text,
		.body_len = body->len, .patience = S3_PATIENT,
		.headers = { "Content-Type: application/xml" },
	};
	bool asks = condition == S3_IF_ABSENT && !atomic_load(&s3->no_condition);
	enum ft_status st;

	parts_query(&query, t->upload_id, 0);
	if (asks)
		r.headers[1] = "If-None-Match: *";
	st = s3_request(s3, &r);
	if (st == FT_REJECTED && asks && (r.status == 501 || strcmp(r.code, "InvalidArgument") == 0)) {
		s3_request_release(&r);
		r.headers[1] = NULL;
		st = s3_request(s3, &r);
	}
	if (st == FT_OK) {
		/* S3 may say 200, and then that it could not. */
		if (!s3_answer_is(r.text ? r.text : "", r.len, "CompleteMultipartUploadResult", r.code))
			st = strcmp(r.code, "PreconditionFailed") == 0 ? FT_ALREADY_COMPLETE : FT_TIMEOUT;
	} else if (st == FT_REJECTED && strcmp(r.code, "InvalidPart") == 0) {
		st = FT_NO_SUCH_TRANSFER;
	}
	if (st != FT_NO_SUCH_TRANSFER && st != FT_ALREADY_COMPLETE)
		st = parts_refused(s3, &r, st);
	s3_request_release(&r);
	return st;
}

static enum ft_status parts_complete(struct s3 *s3, struct s3_transfer *t, size_t count,
				     enum s3_condition condition)
{
	size_t room = 64 + count * (S3_ETAG_ROOM + 80);
	char *text = malloc(room);
	struct ft_buf body;
	enum ft_status st = FT_TIMEOUT;

	if (!text)
		return FT_NO_MEMORY;
	body = ft_buf_on(text, room);
	ft_buf_str(&body, "<CompleteMultipartUpload>");
	for (size_t i = 0; i < count; i++)
		ft_buf_printf(&body, "<Part><PartNumber>%zu</PartNumber><ETag>\"%s\"</ETag></Part>", i + 1,
			      t->parts[i].etag);
	ft_buf_str(&body, "</CompleteMultipartUpload>");
	assert(ft_buf_ok(&body));
	/* FT_TIMEOUT: S3 gave up in the middle. */
	for (int tries = 0; st == FT_TIMEOUT && tries < PARTS_COMPLETE_TRIES; tries++)
		st = parts_post_complete(s3, t, &body, condition);
	free(text);
	if (st != FT_TIMEOUT)
		return st;
	s3_weather_bad(s3, S3_OVERLOADED, "a multipart upload could not be completed");
	return FT_BUSY;
}

/* The upload is for this object, or is begun anew. */
static void parts_aim(struct s3 *s3, struct s3_transfer *t, const char *object, const char *transfer_id)
{
	char former[S3_KEY_ROOM] = "", upload_id[S3_UPLOAD_ID_ROOM], note[FT_UUID_ROOM];

	pthread_mutex_lock(&s3->lock);
	parts_wait(s3, t);
	if (strcmp(t->object, object) != 0 || strcmp(t->transfer_id, transfer_id) != 0) {
		memcpy(former, t->object, sizeof former);
		memcpy(upload_id, t->upload_id, sizeof upload_id);
		memcpy(note, t->note, sizeof note);
		t->upload_id[0] = t->note[0] = '\0';
		for (size_t i = 0; i < t->part_count; i++)
			t->parts[i].etag[0] = '\0';
		snprintf(t->object, sizeof t->object, "%s", object);
		snprintf(t->transfer_id, sizeof t->transfer_id, "%s", transfer_id);
	}
	pthread_mutex_unlock(&s3->lock);
	if (former[0] && upload_id[0])
		parts_abort(s3, former, upload_id, note);
}

/* S3 knows the upload no more: a rule of the bucket or somebody has ended it. */
static void parts_forget(struct s3 *s3, struct s3_transfer *t)
{
	pthread_mutex_lock(&s3->lock);
	parts_drop_note(s3, t);
	for (size_t i = 0; i < t->part_count; i++)
		t->parts[i].etag[0] = '\0';
	pthread_mutex_unlock(&s3->lock);
}

/* Whether the object is what the parts were to become. */
static enum ft_status parts_look(struct s3 *s3, const char *object, const struct ft_publication *what)
{
	enum ft_status st = s3_is_ours(s3, object, what->transfer_id, what->size);

	return st == FT_INCOMPLETE ? FT_NO_SUCH_TRANSFER : st;
}

enum ft_status s3_parts_finish(struct s3 *s3, struct s3_upload *upload,
			       const struct ft_publication *what, const char *object,
			       enum s3_condition condition)
{
	struct s3_transfer *t = upload->transfer;
	size_t count = (size_t)((what->size + s3->settings->part_size - 1) / s3->settings->part_size);
	enum ft_status st = FT_NO_SUCH_TRANSFER;
	bool grown;

	if (what->size / s3->settings->part_size >= S3_PARTS_MAX)
		return FT_FILE_TOO_LARGE;
	parts_aim(s3, t, object, what->transfer_id);
	pthread_mutex_lock(&s3->lock);
	grown = parts_grow(t, count);
	pthread_mutex_unlock(&s3->lock);
	if (!grown)
		return FT_NO_MEMORY;
	for (int tries = 0; st == FT_NO_SUCH_TRANSFER && tries < 2; tries++) {
		st = parts_send_rest(s3, t, what, count);
		if (st == FT_OK)
			st = parts_complete(s3, t, count, condition);
		if (st != FT_NO_SUCH_TRANSFER)
			break;
		parts_forget(s3, t);
		/* Or by ourselves: the answer was lost. */
		st = parts_look(s3, object, what);
	}
	if (st == FT_OK) {
		parts_forget(s3, t);
		st = parts_look(s3, object, what);
	}
	if (st != FT_NO_SUCH_TRANSFER)
		return st;
	s3_weather_bad(s3, S3_REFUSED, "an object is not there, or not as long as it was sent");
	return FT_BUSY;
}
#else
typedef int s3_parts_is_not_built_in;
#endif
