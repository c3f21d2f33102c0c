/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/reckoning.h"

enum ft_belief ft_reckon(struct ft_reckoning *reckoning, int64_t clock_ms, int64_t elapsed_ms)
{
	int64_t off_ms;

	if (reckoning->time_ms == 0)
		reckoning->time_ms = clock_ms;
	else
		reckoning->time_ms += elapsed_ms;
	off_ms = clock_ms - reckoning->time_ms;
	if (off_ms < -FT_RECKONING_DAY_MS || off_ms > FT_RECKONING_DAY_MS) {
		reckoning->doubt_ms += elapsed_ms;
		if (reckoning->doubt_ms < FT_RECKONING_DAY_MS)
			return FT_DOUBTED;
	}
	*reckoning = (struct ft_reckoning){ .time_ms = clock_ms };
	return FT_BELIEVED;
}
