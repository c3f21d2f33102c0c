/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifdef FT_S3
#include "store/s3/curl.h"

#include "base/library.h"

/* Signs what is not in a form, by the hash in x-amz-content-sha256: as in Debian 12. */
#define CURL_VERSION_NEEDED 0x075800
#define CURL_VERSION_WORDS "7.88"

struct s3_curl s3_curl;

static const struct ft_library_function curl_functions[] = {
#define X(name) { "curl_" #name, offsetof(struct s3_curl, name) },
	S3_CURL_FUNCTIONS(X)
#undef X
};

bool s3_curl_load(struct ft_buf *why)
{
	static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4", NULL };
	const curl_version_info_data *version;
	void *library = ft_library_load(names);
	const char *absent;

	if (!library) {
		ft_buf_str(why, "libcurl.so.4 cannot be loaded: install libcurl 7.88 or later (Debian "
			   "and Ubuntu: libcurl4, Alpine: libcurl)");
		return false;
	}
	absent = ft_library_find(library, curl_functions, sizeof curl_functions / sizeof curl_functions[0],
				 &s3_curl);
	if (absent) {
		ft_buf_printf(why, "libcurl has no %s", absent);
		return false;
	}
	version = s3_curl.version_info(CURLVERSION_NOW);
	if (version->version_num < CURL_VERSION_NEEDED) {
		ft_buf_printf(why, "libcurl %s cannot sign what S3 wants: " CURL_VERSION_WORDS
			      " or later is needed", version->version);
		return false;
	}
	if (s3_curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		return true;
	ft_buf_str(why, "libcurl could not be initialised");
	return false;
}
#else
typedef int s3_curl_is_not_built_in;	/* a file of ISO C has something in it */
#endif
