/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/s3/sign.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>

#include "base/sha256.h"

#define SIGN_ALGORITHM "AWS4-HMAC-SHA256"

/* Where the parts of a URL are that are signed each by itself. */
struct sign_url {
	size_t host, path, query;
};

struct sign_times {
	char date[16];		/* 20130524 */
	char moment[24];	/* 20130524T000000Z */
};

static bool sign_take_times(int64_t now_s, struct sign_times *times)
{
	time_t now = (time_t)now_s;
	struct tm utc;

	return gmtime_r(&now, &utc) && strftime(times->date, sizeof times->date, "%Y%m%d", &utc) > 0
	       && strftime(times->moment, sizeof times->moment, "%Y%m%dT%H%M%SZ", &utc) > 0;
}

/* As clients will send it: in lower case, without the scheme's own port. */
static void sign_put_host(struct ft_buf *url, const char *host, size_t len, const char *own_port)
{
	size_t port = strlen(own_port);

	if (len > port && memcmp(host + len - port, own_port, port) == 0)
		len -= port;
	for (size_t i = 0; i < len; i++)
		ft_buf_char(url, host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] - 'A' + 'a') : host[i]);
}

static void sign_put_place(struct ft_buf *url, const struct s3_address *address, const char *object,
			   struct sign_url *at)
{
	const char *host = strstr(address->root, "://") + 3;
	size_t len = strcspn(host, "/");

	ft_buf_bytes(url, address->root, (size_t)(host - address->root));
	at->host = url->len;
	sign_put_host(url, host, len, strncmp(address->root, "https:", 6) == 0 ? ":443" : ":80");
	at->path = url->len;
	s3_address_encode_path(url, host + len);	/* the bucket, where the host has none */
	ft_buf_char(url, '/');
	s3_address_encode_path(url, object);
}

/* In the order of their names, as they are signed. */
static void sign_put_query(struct ft_buf *url, const struct s3_signing *s, const struct sign_times *times,
			   struct sign_url *at)
{
	ft_buf_char(url, '?');
	at->query = url->len;
	ft_buf_str(url, "X-Amz-Algorithm=" SIGN_ALGORITHM "&X-Amz-Credential=");
	s3_address_encode(url, s->credentials->id);
	ft_buf_printf(url, "%%2F%s%%2F", times->date);
	s3_address_encode(url, s->region);
	ft_buf_printf(url, "%%2Fs3%%2Faws4_request&X-Amz-Date=%s&X-Amz-Expires=%u", times->moment,
		      (unsigned)s->ttl_s);
	if (s->credentials->token[0]) {
		ft_buf_str(url, "&X-Amz-Security-Token=");
		s3_address_encode(url, s->credentials->token);
	}
	ft_buf_str(url, "&X-Amz-SignedHeaders=host");
}

/* The hash of the canonical request: all that is signed, in lines. */
static bool sign_hash_request(const struct ft_buf *url, const struct sign_url *at, struct ft_sha256 *sum)
{
	static const char method[] = "GET\n", host[] = "\nhost:", rest[] = "\n\nhost\nUNSIGNED-PAYLOAD";
	struct ft_hasher *hasher = ft_hasher_new();
	const char *text = url->text;
	bool good = hasher && ft_hasher_update(hasher, method, sizeof method - 1)
		    && ft_hasher_update(hasher, text + at->path, at->query - 1 - at->path)
		    && ft_hasher_update(hasher, "\n", 1)
		    && ft_hasher_update(hasher, text + at->query, url->len - at->query)
		    && ft_hasher_update(hasher, host, sizeof host - 1)
		    && ft_hasher_update(hasher, text + at->host, at->path - at->host)
		    && ft_hasher_update(hasher, rest, sizeof rest - 1)
		    && ft_hasher_digest(hasher, sum);

	ft_hasher_free(hasher);
	return good;
}

static bool sign_mac(const void *key, size_t key_len, const char *text, struct ft_sha256 *mac)
{
	unsigned len = 0;

	return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), mac->bytes,
		    &len) && len == FT_SHA256_LEN;
}

/* The key for this day, region and service, and with it the signature. */
static bool sign_finish(const struct s3_signing *s, const struct sign_times *times,
			const struct ft_sha256 *request, struct ft_sha256 *signature)
{
	const char *const scope[] = { times->date, s->region, "s3", "aws4_request" };
	char text[512], key[8 + sizeof s->credentials->secret];
	struct ft_buf to = ft_buf_on(text, sizeof text);
	struct ft_sha256 mac;
	int len = snprintf(key, sizeof key, "AWS4%s", s->credentials->secret);
	bool good = sign_mac(key, (size_t)len, scope[0], &mac);

	for (size_t i = 1; good && i < sizeof scope / sizeof scope[0]; i++) {
		const struct ft_sha256 before = mac;

		good = sign_mac(before.bytes, sizeof before.bytes, scope[i], &mac);
	}
	ft_buf_printf(&to, SIGN_ALGORITHM "\n%s\n%s/%s/s3/aws4_request\n", times->moment, times->date, s->region);
	ft_buf_hex(&to, request->bytes, FT_SHA256_LEN);
	good = good && ft_buf_ok(&to) && sign_mac(mac.bytes, sizeof mac.bytes, text, signature);
	OPENSSL_cleanse(key, sizeof key);
	OPENSSL_cleanse(&mac, sizeof mac);
	return good;
}

bool s3_sign_url(const struct s3_address *address, const char *object, const struct s3_signing *signing,
		 struct ft_buf *url)
{
	struct ft_sha256 request, signature;
	struct sign_times times;
	struct sign_url at;

	if (!sign_take_times(signing->now_s, &times))
		return false;
	sign_put_place(url, address, object, &at);
	sign_put_query(url, signing, &times, &at);
	if (!ft_buf_ok(url) || !sign_hash_request(url, &at, &request)
	    || !sign_finish(signing, &times, &request, &signature))
		return false;
	ft_buf_str(url, "&X-Amz-Signature=");
	ft_buf_hex(url, signature.bytes, FT_SHA256_LEN);
	return ft_buf_ok(url);
}
