/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * libcurl, loaded when it is needed: whoever stores no files in S3 need not have it.
 *
 * libcurl does HTTP, TLS and the signatures (AWS SigV4, CURLOPT_AWS_SIGV4). Called by pointers of
 * the types that <curl/curl.h> declares. Loaded once, never unloaded. Threads: s3_curl_load() is
 * called on one; what is loaded, by any.
 */
#ifndef FT_STORE_S3_CURL_H
#define FT_STORE_S3_CURL_H

#define CURL_DISABLE_TYPECHECK	/* its macros would call libcurl by name */
#include <curl/curl.h>
#include <stdbool.h>

#include "base/buf.h"

#define S3_CURL_FUNCTIONS(X) \
	X(global_init) X(easy_init) X(easy_setopt) X(easy_perform) X(easy_reset) X(easy_cleanup) \
	X(easy_getinfo) X(easy_strerror) X(slist_append) X(slist_free_all) X(version_info)

#undef curl_easy_setopt
#undef curl_easy_getinfo

struct s3_curl {
#define X(name) __typeof__(&curl_##name) name;
	S3_CURL_FUNCTIONS(X)
#undef X
};

extern struct s3_curl s3_curl;

/* False: `why` says in one line what is missing. */
bool s3_curl_load(struct ft_buf *why);

#endif
