/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A finished object that another transfer is to be made of (option `deduplicate`): read to be
 * hashed, as all that is published is, and then copied by S3 itself. The copy is an object of its
 * own: who changes or deletes one of them has not touched the other.
 *
 * What is copied is what was read: its ETag is the same before and after. (x-amz-copy-source-if-match
 * would say so to S3, but libcurl signs it wrongly beside x-amz-copy-source: it sorts headers with
 * their colons.) An object that was copied says so in x-amz-meta-copied: where the process ends before
 * that was compared, the next one does not take it for its transfer's, and puts another one over it.
 */
#ifdef FT_S3
#include "store/s3/s3.h"

#define COPY_SIZE_MAX ((uint64_t)5 * 1024 * 1024 * 1024)	/* of one request */

struct s3_source {
	char object[S3_KEY_ROOM];
	char etag[S3_ETAG_ROOM + 2];	/* with its quotes */
	uint64_t size;
	uint64_t ahead_at;		/* where `ahead` begins in the object */
	size_t ahead_len;
	char *ahead;			/* owned; part_size bytes */
};

void s3_source_free(struct s3_source **source)
{
	if (*source)
		free((*source)->ahead);
	free(*source);
	*source = NULL;
}

/* What a copy cannot be made of now is sent by the client, as without the option. */
enum ft_status s3_source_open(struct s3 *s3, const struct ft_key *key, const char *name,
			      struct s3_source **out)
{
	struct s3_source *source = calloc(1, sizeof *source);
	struct s3_request r = { .method = "HEAD", .patience = S3_ONCE };
	enum ft_status st;

	*out = NULL;
	if (!source || !(source->ahead = malloc((size_t)s3->settings->part_size))) {
		s3_source_free(&source);
		return FT_NO_MEMORY;
	}
	s3_address_key(&s3->address, key, name, source->object);
	r.object = source->object;
	st = s3_request(s3, &r);
	source->size = r.length;
	snprintf(source->etag, sizeof source->etag, "\"%s\"", r.etag);
	if (st == FT_OK && (!r.etag[0] || r.length == 0 || r.length > COPY_SIZE_MAX))
		st = FT_NO_SUCH_TRANSFER;
	s3_request_release(&r);
	if (st == FT_OK)
		*out = source;
	else
		s3_source_free(&source);
	return st;
}

/* The next bytes, as many as there is room for: one request does for many reads. */
static enum ft_status copy_fetch(struct s3 *s3, struct s3_source *source, uint64_t offset)
{
	char range[80], match[sizeof source->etag + 16];
	uint64_t left = source->size - offset, room = s3->settings->part_size;
	size_t len = (size_t)(left < room ? left : room);
	struct s3_request r = {
		.method = "GET", .object = source->object, .headers = { range, match },
		.patience = S3_ONCE, .to = source->ahead, .room = len,
	};
	enum ft_status st;

	snprintf(range, sizeof range, "Range: bytes=%llu-%llu", (unsigned long long)offset,
		 (unsigned long long)(offset + len - 1));
	snprintf(match, sizeof match, "If-Match: %s", source->etag);
	st = s3_request(s3, &r);
	source->ahead_at = offset;
	source->ahead_len = st == FT_OK ? r.len : 0;
	if (st == FT_OK && r.len == len)
		return FT_OK;
	/* Another object by now, or none that is read so. */
	return st == FT_BUSY || st == FT_NO_MEMORY ? st : FT_NO_SUCH_TRANSFER;
}

enum ft_status s3_source_read(struct s3 *s3, struct s3_source *source, uint64_t offset, void *buffer,
			      size_t len)
{
	enum ft_status st;

	if (offset > source->size || len > source->size - offset)
		return FT_IO_ERROR;
	while (len > 0) {
		uint64_t skip = offset - source->ahead_at;
		size_t some;

		if (offset < source->ahead_at || skip >= source->ahead_len) {
			if ((st = copy_fetch(s3, source, offset)) != FT_OK)
				return st;
			skip = 0;
		}
		some = source->ahead_len - (size_t)skip < len ? source->ahead_len - (size_t)skip : len;
		memcpy(buffer, source->ahead + skip, some);
		buffer = (char *)buffer + some;
		offset += some;
		len -= some;
	}
	return FT_OK;
}

/* As S3 wants it: /bucket/key, encoded. */
static void copy_put_source(struct s3 *s3, const struct s3_source *source, struct ft_buf *to)
{
	const char *host = strstr(s3->address.root, "://") + 3, *bucket = strchr(host, '/');

	ft_buf_str(to, "x-amz-copy-source: /");
	if (bucket)
		s3_address_encode_path(to, bucket + 1);
	else	/* the host's name has it; one with dots in it is not found so */
		ft_buf_bytes(to, host, strcspn(host, ".:"));
	ft_buf_char(to, '/');
	s3_address_encode_path(to, source->object);
}

static bool copy_is_unchanged(const struct s3_source *source, const char *etag)
{
	size_t len = strlen(etag);

	return len == strlen(source->etag) - 2 && memcmp(source->etag + 1, etag, len) == 0;
}

/*
 * That the copy is whole and this transfer's, and was made of what was read. One that was made and
 * is not goes: the client's own is to come.
 */
static enum ft_status copy_check(struct s3 *s3, const struct s3_source *source, const char *object,
				 const char *transfer_id)
{
	struct s3_request copy = { .method = "HEAD", .object = object, .patience = S3_PATIENT };
	struct s3_request from = { .method = "HEAD", .object = source->object, .patience = S3_PATIENT };
	enum ft_status st = s3_request(s3, &copy);
	bool is_ours = strcmp(copy.transfer, transfer_id) == 0, good = false;

	if (st == FT_OK && is_ours && copy.length == source->size) {
		st = s3_request(s3, &from);
		good = st == FT_OK && copy_is_unchanged(source, from.etag);
	}
	if (!good && st != FT_BUSY && (is_ours || copy_is_unchanged(source, copy.etag)))
		(void)(s3_delete(s3, object) != FT_OK);
	s3_request_release(&copy);
	s3_request_release(&from);
	if (st == FT_BUSY || st == FT_NO_MEMORY)
		return st;
	return good ? FT_OK : FT_NO_SUCH_TRANSFER;
}

enum ft_status s3_source_copy(struct s3 *s3, const struct s3_source *source, const struct ft_key *key,
			      const char *object, const char *transfer_id, uint64_t size)
{
	char from[3 * S3_KEY_ROOM + 600], meta[S3_META_ROOM];
	struct ft_buf to = ft_buf_on(from, sizeof from);
	struct s3_request r = {
		.method = "PUT", .object = object, .patience = S3_PATIENT,
		.headers = { "Content-Type: application/octet-stream", "x-amz-metadata-directive: REPLACE",
			     "x-amz-meta-copied: 1", from },
	};
	bool copied;
	enum ft_status st;

	if (size != source->size)
		return FT_NO_SUCH_TRANSFER;
	copy_put_source(s3, source, &to);
	s3_meta_headers(key, transfer_id, meta, &r.headers[4]);
	st = s3_request(s3, &r);
	/* S3 may say 200, and then that it could not. */
	copied = st == FT_OK && s3_answer_is(r.text ? r.text : "", r.len, "CopyObjectResult", r.code);
	if (st == FT_REJECTED && !atomic_exchange(&s3->no_copy, true))
		ft_logger_printf(s3->logger, FT_LOG_NOTICE, "%s does not copy objects (%ld %s %.200s): deduplicate "
				 "has no effect, clients send their files", s3->address.root, r.status, r.code,
				 r.message);
	s3_request_release(&r);
	if (st == FT_BUSY || st == FT_NO_MEMORY)
		return st;
	return copied ? copy_check(s3, source, object, transfer_id) : FT_NO_SUCH_TRANSFER;
}
#else
typedef int s3_copy_is_not_built_in;
#endif
