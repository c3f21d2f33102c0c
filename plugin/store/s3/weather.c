/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Whether S3 can be reached. Where it cannot, one publication at a time tries, after 1 s, then 2 s
 * and so on up to 30 s; all others are told at once that it is not now. One line for each cause,
 * with the remedy, and one when it works again.
 */
#ifdef FT_S3
#include "store/s3/s3.h"

#include "base/sys.h"
#include "base/system.h"

#define WEATHER_FIRST_MS 1000
#define WEATHER_MOST_MS 30000
#define WEATHER_DOUBLINGS 5

static const struct {
	const char *what, *remedy;
} weather_texts[S3_TROUBLES] = {
	[S3_UNREACHABLE] = { "cannot be reached", "check s3_url, the network, and that it runs" },
	[S3_TLS] = { "does not prove who it is", "check s3_url, and s3_ca_file for a CA of your own" },
	[S3_OVERLOADED] = { "has too much to do, or a fault", "nothing to do here but to wait" },
	[S3_NO_KEYS] = { "cannot be asked", "see docs/s3.md, Keys" },
	[S3_DENIED] = { "denies it", "these keys need s3:ListBucket for the bucket, and s3:GetObject, "
		"s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload for what is in it" },
	[S3_KEYS_WRONG] = { "does not know these keys", "check s3_credentials_file or the environment" },
	[S3_KEYS_EXPIRED] = { "says that the keys have expired", "renew s3_credentials_file: it is read "
		"again when it changes" },
	[S3_CLOCK] = { "says that the clock of this machine is wrong", "set it (NTP)" },
	[S3_NO_BUCKET] = { "has no such bucket", "make it, or correct s3_url" },
	[S3_FULL] = { "has no room", "free space there, or raise the quota" },
	[S3_TOO_LARGE] = { "does not take that much", "raise its quota or its limit, or lower s3_part_size" },
	[S3_ELSEWHERE] = { "says that the bucket is elsewhere", "correct s3_region and s3_url" },
	[S3_REFUSED] = { "refuses a request", "please report this, with its words" },
};

static int weather_jitter(int ms)
{
	unsigned random = 0;

	(void)(ft_sys_getrandom(&random, sizeof random, GRND_NONBLOCK) < 0);
	return ms / 2 + (int)(random % (unsigned)ms);
}

bool s3_weather_ask(struct s3 *s3)
{
	bool may;

	pthread_mutex_lock(&s3->lock);
	may = s3->trouble == S3_FINE || (!s3->probing && ft_clock_ms() >= s3->retry_ms);
	if (may && s3->trouble != S3_FINE)
		s3->probing = true;
	pthread_mutex_unlock(&s3->lock);
	return may && !atomic_load(&s3->interrupted);
}

bool s3_weather_may_read(struct s3 *s3)
{
	bool may;

	pthread_mutex_lock(&s3->lock);
	may = (s3->trouble != S3_UNREACHABLE && s3->trouble != S3_OVERLOADED)
	      || ft_clock_ms() >= s3->retry_ms;
	pthread_mutex_unlock(&s3->lock);
	return may && !atomic_load(&s3->interrupted);
}

bool s3_weather_is_bad(struct s3 *s3)
{
	bool bad;

	pthread_mutex_lock(&s3->lock);
	bad = s3->trouble != S3_FINE;
	pthread_mutex_unlock(&s3->lock);
	return bad;
}

void s3_weather_good(struct s3 *s3)
{
	bool again;

	pthread_mutex_lock(&s3->lock);
	again = s3->trouble != S3_FINE;
	s3->trouble = S3_FINE;
	s3->failures = 0;
	s3->probing = false;
	pthread_mutex_unlock(&s3->lock);
	if (again)
		ft_logger_printf(s3->logger, FT_LOG_NOTICE, "%s takes files again", s3->address.root);
}

void s3_weather_bad(struct s3 *s3, enum s3_trouble trouble, const char *detail)
{
	unsigned doublings;
	bool is_new;

	pthread_mutex_lock(&s3->lock);
	s3->probing = false;
	if (trouble == S3_FINE) {
		pthread_mutex_unlock(&s3->lock);
		return;
	}
	is_new = s3->trouble != trouble;
	s3->trouble = trouble;
	doublings = s3->failures < WEATHER_DOUBLINGS ? s3->failures : WEATHER_DOUBLINGS;
	s3->failures++;
	s3->retry_ms = ft_clock_ms() + (WEATHER_FIRST_MS << doublings < WEATHER_MOST_MS
					? weather_jitter(WEATHER_FIRST_MS << doublings)
					: weather_jitter(WEATHER_MOST_MS));
	pthread_mutex_unlock(&s3->lock);
	if (is_new)
		ft_logger_printf(s3->logger, FT_LOG_ERROR, "%s %s: %s (%s); finished files wait in "
				 "storage_dir, and are sent when it works again", s3->address.root,
				 weather_texts[trouble].what, detail, weather_texts[trouble].remedy);
}
#else
typedef int s3_weather_is_not_built_in;
#endif
