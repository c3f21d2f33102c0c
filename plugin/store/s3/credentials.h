/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Keys for S3: from a file in the format of AWS' tools, or from the environment.
 *
 *	[default]
 *	aws_access_key_id = AKIA...
 *	aws_secret_access_key = ...
 *	aws_session_token = ...		where they are temporary
 *
 * The file is read again whenever it has changed, so that whoever renews keys replaces it, best by
 * a rename. What is in it is never logged. Threads: any.
 */
#ifndef FT_STORE_S3_CREDENTIALS_H
#define FT_STORE_S3_CREDENTIALS_H

#include <pthread.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "file_transfer/store.h"

#define S3_CREDENTIALS_FILE_MAX ((size_t)256 * 1024)

struct s3_credentials {
	char id[256];
	char secret[256];
	char token[4096];	/* "": none */
};

/* Reads the text of a file. False: `why` says what is missing, in words without any of its content. */
bool s3_credentials_parse(struct s3_credentials *credentials, const char *text, size_t len,
			  const char *profile, struct ft_buf *why) FT_MUST_USE;

/* Reads the environment. */
bool s3_credentials_environment(struct s3_credentials *credentials, struct ft_buf *why) FT_MUST_USE;

/* Where they come from, and what was read last. */
struct s3_keyring {
	const char *path;	/* NULL: the environment */
	const char *profile;
	pthread_mutex_t lock;
	struct stat info;	/* of the file that was read; st_ino 0: none was */
	struct s3_credentials credentials;
};

/* What counts now. False: `why` says in one line what is wrong. */
bool s3_keyring_get(struct s3_keyring *keyring, struct s3_credentials *credentials,
		    struct ft_buf *why) FT_MUST_USE;

#endif
