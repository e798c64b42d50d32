/* SPDX-License-Identifier: MIT */
/*
 * source: what kind of thing an item's source is. Names of paths are made absolute, looked at and
 * compared with files of the run; those of anything else are what they are, wherever they stand.
 */
#ifndef BATCHPROC_SOURCE_H
#define BATCHPROC_SOURCE_H

enum source_kind {
	SOURCE_PATH,
	SOURCE_URL,
	SOURCE_ENDPOINT, /* tcp://host:port, unix:PATH and their like */
	SOURCE_LINE, /* of a list, that is no job */
};

/* Its key in JSON: in records, and in the jobs of a manifest. */
static inline const char *source_key(enum source_kind kind)
{
	switch (kind) {
	case SOURCE_URL:
		return "url";
	case SOURCE_ENDPOINT:
		return "endpoint";
	case SOURCE_PATH:
	case SOURCE_LINE:
		break;
	}
	return "src";
}

#endif
