/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The live table: how the plugin does, and the transfers that are on their way, the fastest first. */
#ifndef FT_CTL_TOP_H
#define FT_CTL_TOP_H

#include "call.h"

enum exit_code top_run(struct caller *caller, const struct settings *settings);

#endif
