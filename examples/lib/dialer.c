/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "dialer.h"

#include <sys/random.h>

#define NEXT_ADDRESS_S 5	/* so long one may be silent before the next is tried */

void dialer_init(struct dialer *dialer, const struct link_options *options,
		 unsigned backoff_min_ms, unsigned backoff_max_ms)
{
	*dialer = (struct dialer){
		.options = *options, .connect_timeout_s = options->connect_timeout_s,
		.backoff_min_ms = backoff_min_ms, .backoff_max_ms = backoff_max_ms,
	};
}

static void dialer_dial(struct dialer *dialer, const struct link_events *events, int64_t now)
{
	bool last = dialer->address + 1 >= dialer->addresses.count;
	int patience = dialer->connect_timeout_s;

	/* One that does not answer leaves time for the others. */
	dialer->options.connect_timeout_s = last || patience < NEXT_ADDRESS_S ? patience
									       : NEXT_ADDRESS_S;
	dialer->open = true;
	link_open(&dialer->link, &dialer->options, dialer->addresses.items[dialer->address], events,
		  now);
}

void dialer_open(struct dialer *dialer, const struct link_events *events, int64_t now)
{
	char why[300] = "";
	bool found = dialer->options.unix_path ||
		     addresses_find(&dialer->addresses, dialer->options.host, why, sizeof(why));

	dialer->address = 0;
	if (found) {
		dialer_dial(dialer, events, now);
		return;
	}
	dialer->link = (struct link){ .options = &dialer->options };
	dialer->open = true;
	link_end(&dialer->link, LINK_LOST, "%s", why);
}

bool dialer_has_next(const struct dialer *dialer)
{
	return dialer->link.state == LINK_LOST && !dialer->link.was_greeted &&
	       dialer->address + 1 < dialer->addresses.count;
}

void dialer_open_next(struct dialer *dialer, const struct link_events *events, int64_t now)
{
	dialer->address++;
	dialer_dial(dialer, events, now);
}

void dialer_close(struct dialer *dialer)
{
	if (dialer->open)
		link_close(&dialer->link);
	dialer->open = false;
}

bool dialer_may_retry(const struct dialer *dialer, enum dialer_reconnect policy, bool ever_ready)
{
	switch (policy) {
	case RECONNECT_NEVER:
		return false;
	case RECONNECT_ALWAYS:
		return true;
	case RECONNECT_AFTER_SUCCESS:
		break;
	}
	return ever_ready && (dialer->link.state != LINK_REFUSED || dialer->link.tls_failed);
}

/* Clients that were cut off together should not come back together. */
static unsigned dialer_backoff_ms(const struct dialer *dialer, int64_t now)
{
	uint64_t most = dialer->backoff_max_ms, step = dialer->backoff_min_ms;
	uint32_t random = 0;

	for (unsigned i = 0; i < dialer->attempt && step < most; i++)
		step *= 2;
	if (step > most)
		step = most;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)now * 2654435761u;
	return (unsigned)(step / 2 + step * random / UINT32_MAX / 2);
}

unsigned dialer_retry_later(struct dialer *dialer, int64_t now)
{
	unsigned pause = dialer_backoff_ms(dialer, now);

	dialer->attempt++;
	dialer->retry_ms = now + pause;
	return pause;
}
