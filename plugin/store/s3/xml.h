/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Reads the XML of S3's answers, and no other: elements with text in them, nested a few deep.
 *
 * That is a list of objects, the id of a multipart upload, and an error; no attribute matters, and
 * names in lists are asked for in URL encoding. So a strict scanner does, and the store needs no
 * other library at run time. Documents with a DOCTYPE, CDATA or processing instructions other than
 * the first are refused: no S3 sends them. Pure; any thread.
 */
#ifndef FT_STORE_S3_XML_H
#define FT_STORE_S3_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "file_transfer/status.h"

#define S3_XML_TEXT_ROOM 4096	/* of one element; a longer one is refused */

/*
 * Called at the end of each element. `path`: the names from the root on, without prefixes of
 * namespaces, such as "ListBucketResult/Contents/Key". `text`: what is in it, with entities taken
 * back; NULL where that are elements. Returns false to end the walk.
 */
typedef bool s3_xml_visit(void *context, const char *path, const char *text);

/* FT_OK, FT_CANCELLED (the visitor ended it), FT_IO_ERROR (nothing that is understood here). */
enum ft_status s3_xml_each(const char *text, size_t len, s3_xml_visit *visit,
			   void *context) FT_MUST_USE;

#endif
