/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * URLs by which whoever has them reads one object for some time: AWS Signature Version 4 in the
 * query ("presigned URLs"), which libcurl cannot make. All of it is computed here; nobody is asked.
 *
 *	https://host/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=...&X-Amz-Signature=...
 *
 * Such a URL is a secret for as long as it lasts, and is not to be logged. Pure; any thread.
 */
#ifndef FT_STORE_S3_SIGN_H
#define FT_STORE_S3_SIGN_H

#include <stdint.h>

#include "base/buf.h"
#include "store/s3/address.h"
#include "store/s3/credentials.h"

struct s3_signing {
	const char *region;
	const struct s3_credentials *credentials;
	int64_t now_s;		/* Unix seconds; it lasts from then on, */
	uint32_t ttl_s;		/* 1 to FT_STORE_URL_TTL_MAX_S seconds */
};

/*
 * Appends the URL of an object. False: there is no room for it (FT_STORE_URL_ROOM is enough), or
 * libcrypto has failed.
 */
bool s3_sign_url(const struct s3_address *address, const char *object,
		 const struct s3_signing *signing, struct ft_buf *url) FT_MUST_USE;

#endif
