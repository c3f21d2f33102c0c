/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* One request to S3, by libcurl, which signs it; and what its answer means. */
#ifdef FT_S3
#include "store/s3/s3.h"

#include <strings.h>

#include "base/sha256.h"
#include "base/sys.h"
#include "file_transfer/version.h"

#define REQUEST_TRIES 4
#define REQUEST_PAUSE_MS 200		/* before the second one; then three times as long each */
#define REQUEST_CONNECT_MS 10000
#define REQUEST_CONNECT_ONCE_MS 3000
#define REQUEST_ONCE_MS 8000
#define REQUEST_SILENCE_S 30		/* without a byte, either way */
#define REQUEST_MOST_S 300		/* of one that is patient, besides the time for its body, */
#define REQUEST_BYTES_PER_S (16 * 1024)	/* ... which goes as fast as that at least */
#define REQUEST_ERROR_MAX 4096		/* of an answer that is an error and goes to `to` */

/* --- handles --- */

static CURL *request_take_handle(struct s3 *s3)
{
	CURL *handle = NULL;

	pthread_mutex_lock(&s3->lock);
	if (s3->idle_count > 0)
		handle = s3->idle[--s3->idle_count];
	pthread_mutex_unlock(&s3->lock);
	return handle ? handle : s3_curl.easy_init();
}

static void request_return_handle(struct s3 *s3, CURL *handle)
{
	s3_curl.easy_reset(handle);	/* its connections stay */
	pthread_mutex_lock(&s3->lock);
	if (s3->idle_count < S3_IDLE_MAX) {
		s3->idle[s3->idle_count++] = handle;
		handle = NULL;
	}
	pthread_mutex_unlock(&s3->lock);
	if (handle)
		s3_curl.easy_cleanup(handle);
}

/* --- what libcurl calls --- */

struct request_try {
	struct s3 *s3;
	struct s3_request *request;
	CURL *handle;
	size_t sent;			/* of the body */
	char error[CURL_ERROR_SIZE];
	char error_text[REQUEST_ERROR_MAX];	/* the answer's body, if the status is an error's */
	size_t error_len;
	bool no_memory;
};

static size_t request_send(char *to, size_t size, size_t count, void *context)
{
	struct request_try *t = context;
	size_t left = t->request->body_len - t->sent, len = size * count;

	if (len > left)
		len = left;
	if (len > 0)
		memcpy(to, (const char *)t->request->body + t->sent, len);
	t->sent += len;
	return len;
}

/* For a connection that was closed while idle: libcurl begins anew on another one. */
static int request_seek(void *context, curl_off_t offset, int origin)
{
	struct request_try *t = context;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->request->body_len)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static bool request_is_error(struct request_try *t)
{
	long status = 0;

	s3_curl.easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &status);
	return status >= 300;
}

static bool request_grow(struct s3_request *r, size_t len)
{
	char *text;

	if (len >= S3_ANSWER_MAX - r->len)
		return false;
	if (r->len + len < r->room)
		return true;
	r->room = (r->len + len) * 2 + 1024;
	if (!(text = realloc(r->text, r->room)))
		return false;
	r->text = text;
	return true;
}

static size_t request_receive(char *from, size_t size, size_t count, void *context)
{
	struct request_try *t = context;
	struct s3_request *r = t->request;
	size_t len = size * count;

	if (request_is_error(t)) {
		size_t kept = len < sizeof t->error_text - t->error_len
			? len : sizeof t->error_text - t->error_len;

		memcpy(t->error_text + t->error_len, from, kept);
		t->error_len += kept;
		return len;
	}
	if (!r->to) {
		if (!request_grow(r, len)) {
			t->no_memory = true;
			return 0;
		}
		memcpy(r->text + r->len, from, len);
		r->len += len;
		r->text[r->len] = '\0';
		return len;
	}
	if (len > r->room - r->len)	/* more than was asked for */
		return 0;
	memcpy((char *)r->to + r->len, from, len);
	r->len += len;
	return len;
}

/* The value of a header if it is the one that is looked for; without blanks and quotes. */
static bool request_header_is(const char *line, size_t len, const char *name, char *value,
			      size_t room)
{
	size_t name_len = strlen(name);

	if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
		return false;
	line += name_len + 1;
	len -= name_len + 1;
	while (len > 0 && strchr(" \t\"", line[0]))
		line++, len--;
	while (len > 0 && strchr(" \t\"\r\n", line[len - 1]))
		len--;
	if (len >= room)
		len = 0;
	memcpy(value, line, len);
	value[len] = '\0';
	return true;
}

static size_t request_header(char *line, size_t size, size_t count, void *context)
{
	struct request_try *t = context;
	struct s3_request *r = t->request;
	size_t len = size * count;
	char value[64];

	if (request_header_is(line, len, "x-amz-server-side-encryption", value, sizeof value))
		r->encrypted = r->encrypted || strcmp(value, "AES256") != 0;
	else if (request_header_is(line, len, "x-amz-server-side-encryption-customer-algorithm", value,
				   sizeof value))
		r->encrypted = true;
	else if (request_header_is(line, len, "x-amz-meta-copied", value, sizeof value))
		r->copied = true;
	else if (!request_header_is(line, len, "etag", r->etag, sizeof r->etag))
		(void)request_header_is(line, len, "x-amz-meta-transfer", r->transfer,
					sizeof r->transfer);
	return len;
}

static int request_progress(void *context, curl_off_t down, curl_off_t down_now, curl_off_t up,
			    curl_off_t up_now)
{
	struct request_try *t = context;

	(void)down;
	(void)down_now;
	(void)up;
	(void)up_now;
	return atomic_load(&t->s3->interrupted);
}

/* --- set up --- */

#define SET(option, value) s3_curl.easy_setopt(t->handle, CURLOPT_##option, value)

static void request_set_method(struct request_try *t)
{
	struct s3_request *r = t->request;

	if (strcmp(r->method, "HEAD") == 0) {
		SET(NOBODY, 1L);
	} else if (strcmp(r->method, "PUT") == 0) {
		SET(UPLOAD, 1L);
		SET(READFUNCTION, request_send);
		SET(READDATA, t);
		SET(SEEKFUNCTION, request_seek);
		SET(SEEKDATA, t);
		SET(INFILESIZE_LARGE, (curl_off_t)r->body_len);
	} else if (strcmp(r->method, "POST") == 0) {
		SET(POST, 1L);
		SET(POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
		SET(POSTFIELDS, r->body ? r->body : "");
	} else {
		SET(CUSTOMREQUEST, r->method);	/* GET, DELETE */
	}
}

static void request_set_times(struct request_try *t)
{
	bool once = t->request->patience == S3_ONCE;

	SET(CONNECTTIMEOUT_MS, (long)(once ? REQUEST_CONNECT_ONCE_MS : REQUEST_CONNECT_MS));
	SET(LOW_SPEED_LIMIT, 1L);
	SET(LOW_SPEED_TIME, (long)REQUEST_SILENCE_S);
	/* One that gets a byte a second would never be silent. */
	SET(TIMEOUT_MS, once ? (long)REQUEST_ONCE_MS
			: 1000L * (REQUEST_MOST_S + (long)(t->request->body_len / REQUEST_BYTES_PER_S)));
	SET(NOPROGRESS, 0L);
	SET(XFERINFOFUNCTION, request_progress);
	SET(XFERINFODATA, t);
}

static void request_set_up(struct request_try *t, const char *url,
			   const struct s3_credentials *credentials, struct curl_slist *headers)
{
	SET(URL, url);
	SET(PATH_AS_IS, 1L);
	SET(PROTOCOLS_STR, "http,https");
	SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(NOSIGNAL, 1L);
	SET(USERAGENT, "mosquitto-file-transfer/" FT_VERSION);
	SET(AWS_SIGV4, t->s3->signer);
	SET(USERNAME, credentials->id);
	SET(PASSWORD, credentials->secret);
	SET(HTTPHEADER, headers);
	SET(ERRORBUFFER, t->error);
	SET(WRITEFUNCTION, request_receive);
	SET(WRITEDATA, t);
	SET(HEADERFUNCTION, request_header);
	SET(HEADERDATA, t);
	if (t->s3->settings->ca_file)
		SET(CAINFO, t->s3->settings->ca_file);
	request_set_method(t);
	request_set_times(t);
}

static bool request_add(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = s3_curl.slist_append(*list, line);

	if (longer)
		*list = longer;
	return longer != NULL;
}

/* NULL: no memory. */
static struct curl_slist *request_headers(const struct s3_request *r,
					  const struct s3_credentials *credentials)
{
	char room[sizeof credentials->token + 64];
	struct ft_buf line = ft_buf_on(room, sizeof room);
	struct curl_slist *list = NULL;
	struct ft_sha256 sum;
	bool good = ft_sha256_of(r->body ? r->body : "", r->body_len, &sum);

	ft_buf_str(&line, "x-amz-content-sha256: ");
	ft_buf_hex(&line, sum.bytes, FT_SHA256_LEN);
	good = good && request_add(&list, room);
	if (credentials->token[0]) {
		snprintf(room, sizeof room, "x-amz-security-token: %s", credentials->token);
		good = good && request_add(&list, room);
	}
	for (size_t i = 0; good && r->headers[i]; i++)
		good = request_add(&list, r->headers[i]);
	if (good)
		return list;
	s3_curl.slist_free_all(list);
	return NULL;
}

/* --- what the answer means --- */

/* S3's words; the status alone where there are none, as after HEAD. */
static const struct {
	const char *code;
	enum s3_trouble trouble;
} request_codes[] = {
	{ "AccessDenied", S3_DENIED },
	{ "AccountProblem", S3_DENIED },
	{ "AllAccessDisabled", S3_DENIED },
	{ "InvalidAccessKeyId", S3_KEYS_WRONG },
	{ "SignatureDoesNotMatch", S3_KEYS_WRONG },
	{ "InvalidToken", S3_KEYS_EXPIRED },
	{ "ExpiredToken", S3_KEYS_EXPIRED },
	{ "TokenRefreshRequired", S3_KEYS_EXPIRED },
	{ "RequestTimeTooSkewed", S3_CLOCK },
	{ "RequestExpired", S3_CLOCK },
	{ "NoSuchBucket", S3_NO_BUCKET },
	{ "EntityTooLarge", S3_TOO_LARGE },	/* Swift's word for a quota, too */
	{ "QuotaExceeded", S3_FULL },
	{ "StorageFull", S3_FULL },
	{ "XMinioStorageFull", S3_FULL },
	{ "XMinioAdminBucketQuotaExceeded", S3_FULL },
	{ "PermanentRedirect", S3_ELSEWHERE },
	{ "TemporaryRedirect", S3_ELSEWHERE },
	{ "AuthorizationHeaderMalformed", S3_ELSEWHERE },
	{ "IllegalLocationConstraintException", S3_ELSEWHERE },
	{ "SlowDown", S3_OVERLOADED },
	{ "RequestTimeout", S3_OVERLOADED },
	{ "InternalError", S3_OVERLOADED },
	{ "ServiceUnavailable", S3_OVERLOADED },
	{ "OperationAborted", S3_OVERLOADED },
	{ "ConditionalRequestConflict", S3_OVERLOADED },
};

static enum s3_trouble request_trouble_of_status(long status)
{
	if (status == 507)
		return S3_FULL;
	if (status == 413)
		return S3_TOO_LARGE;
	if (status == 501 || status == 505)
		return S3_REFUSED;
	if (status >= 500 || status == 429 || status == 408 || status == 409)
		return S3_OVERLOADED;
	if (status == 401 || status == 403)
		return S3_DENIED;
	return status < 400 ? S3_ELSEWHERE : S3_REFUSED;
}

static enum s3_trouble request_trouble_of(const struct s3_request *r)
{
	for (size_t i = 0; i < sizeof request_codes / sizeof request_codes[0]; i++)
		if (strcmp(request_codes[i].code, r->code) == 0)
			return request_codes[i].trouble;
	return request_trouble_of_status(r->status);
}

static enum ft_status request_judge_status(struct request_try *t)
{
	struct s3_request *r = t->request;

	if (r->status >= 200 && r->status < 300)
		return FT_OK;
	s3_answer_error(t->error_text, t->error_len, r->code, r->message);
	if (r->status == 412)
		return FT_ALREADY_COMPLETE;
	if (r->status == 404 && strcmp(r->code, "NoSuchBucket") != 0)
		return FT_NO_SUCH_TRANSFER;
	r->trouble = request_trouble_of(r);
	return r->trouble == S3_REFUSED ? FT_REJECTED : FT_BUSY;
}

static enum ft_status request_judge_failure(struct request_try *t, CURLcode result)
{
	struct s3_request *r = t->request;

	if (t->no_memory || result == CURLE_OUT_OF_MEMORY)
		return FT_NO_MEMORY;
	r->trouble = S3_UNREACHABLE;
	if (atomic_load(&t->s3->interrupted))
		r->trouble = S3_FINE;
	else if (result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE
		 || result == CURLE_SSL_ISSUER_ERROR)
		r->trouble = S3_TLS;
	snprintf(r->message, sizeof r->message, "%.255s",
		 t->error[0] ? t->error : s3_curl.easy_strerror(result));
	return FT_BUSY;
}

/* --- tries --- */

static enum ft_status request_perform(struct request_try *t, const char *url,
				      const struct s3_credentials *credentials)
{
	struct s3_request *r = t->request;
	struct curl_slist *headers = request_headers(r, credentials);
	curl_off_t length = 0;
	CURLcode result;

	if (!headers)
		return FT_NO_MEMORY;
	if (!(t->handle = request_take_handle(t->s3))) {
		s3_curl.slist_free_all(headers);
		return FT_NO_MEMORY;
	}
	request_set_up(t, url, credentials, headers);
	result = s3_curl.easy_perform(t->handle);
	s3_curl.easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &r->status);
	s3_curl.easy_getinfo(t->handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	r->length = length > 0 ? (uint64_t)length : 0;
	request_return_handle(t->s3, t->handle);
	s3_curl.slist_free_all(headers);
	return result == CURLE_OK ? request_judge_status(t) : request_judge_failure(t, result);
}

static enum ft_status request_try(struct s3 *s3, struct s3_request *r, const char *url)
{
	char room[512];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	struct request_try *t = calloc(1, sizeof *t);
	struct s3_credentials *credentials = calloc(1, sizeof *credentials);
	enum ft_status st = FT_NO_MEMORY;

	r->len = 0;
	r->status = 0;
	r->trouble = S3_FINE;
	r->copied = r->encrypted = false;
	r->etag[0] = r->transfer[0] = r->code[0] = r->message[0] = '\0';
	if (t && credentials) {
		t->s3 = s3;
		t->request = r;
		if (s3_keyring_get(&s3->keyring, credentials, &why)) {
			st = request_perform(t, url, credentials);
		} else {
			r->trouble = S3_NO_KEYS;
			snprintf(r->message, sizeof r->message, "%.399s", room);
			st = FT_BUSY;
		}
		explicit_bzero(credentials, sizeof *credentials);
	}
	free(credentials);
	free(t);
	return st;
}

/* What a moment may change. */
static bool request_may_try_again(const struct s3 *s3, const struct s3_request *r, int tries)
{
	return r->patience == S3_PATIENT && tries < REQUEST_TRIES
	       && (r->trouble == S3_UNREACHABLE || r->trouble == S3_OVERLOADED)
	       && !atomic_load(&s3->interrupted);
}

static void request_tell_weather(struct s3 *s3, const struct s3_request *r)
{
	char detail[500];

	if (r->status > 0)
		snprintf(detail, sizeof detail, "%s answered with %ld%s%s%s%.300s", r->method, r->status,
			 r->code[0] ? " " : "", r->code, r->message[0] ? ": " : "", r->message);
	else
		snprintf(detail, sizeof detail, "%.399s", r->message);
	s3_weather_bad(s3, r->trouble, detail);
}

enum ft_status s3_request(struct s3 *s3, struct s3_request *request)
{
	char *url = malloc(S3_URL_ROOM + 2 * S3_UPLOAD_ID_ROOM);
	struct ft_buf to;
	enum ft_status st;
	int pause_ms = REQUEST_PAUSE_MS;

	if (!url)
		return FT_NO_MEMORY;
	to = ft_buf_on(url, S3_URL_ROOM + 2 * S3_UPLOAD_ID_ROOM);
	s3_address_url(&s3->address, request->object, request->query, &to);
	for (int tries = 1;; tries++) {
		st = request_try(s3, request, url);
		if (st != FT_BUSY || !request_may_try_again(s3, request, tries)
		    || (tries > 1 && s3_weather_is_bad(s3)))
			break;
		s3_pause(s3, pause_ms / 2 + (int)((unsigned)tries * 2654435761u % (unsigned)pause_ms));
		pause_ms *= 3;
	}
	free(url);
	if (st == FT_BUSY)
		request_tell_weather(s3, request);
	return st;
}

void s3_request_release(struct s3_request *request)
{
	free(request->text);
	request->text = NULL;
	request->len = 0;
	if (!request->to)
		request->room = 0;
}
#else
typedef int s3_request_is_not_built_in;
#endif
