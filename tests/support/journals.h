/* SPDX-License-Identifier: MIT */
/*
 * journals - what the tests of the journal share
 */
#ifndef BATCHPROC_TESTS_JOURNALS_H
#define BATCHPROC_TESTS_JOURNALS_H

#include "support/cmd.h"

#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define WORLD_SHA256 "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7"

#define HASH_D "hash", "-r", "--journal", "J", "d"
#define RESUME_D "hash", "-r", "--journal", "J", "--resume", "d"

/** A tree d of @count small files, no two of them alike. */
void make_journal_tree(unsigned int count);
struct text read_all(const char *name);
/** The file has exactly this. */
void expect_file(const char *name, const struct text *expected);

#endif
