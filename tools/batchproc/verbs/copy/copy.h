/* SPDX-License-Identifier: MIT */
/*
 * copy: what the files of the verb share.
 *
 *	copy.c		the verb: its items
 *	settings.c	its options
 *	place.c		what the names mean that the user gave
 *	opened.c	destinations that are open already
 *	tree.c		directories of a tree: entered and left
 *	dest.c		directories of the destination
 *	temp.c		temporary names
 *	replace.c	what happens when something of the name is there; names.c whether it is
 *	leftovers.c	what killed runs have left, where there is no space
 *	file.c		one regular file: its begin, its end; make.c what it is written into, data.c
 *			its bytes
 *	special.c	symbolic links, FIFOs and devices
 *	mirror.c	what --delete removes; removal.c one thing of that
 *	backup.c	where what is replaced goes with --backup
 *	hardlinks.c	which files with several names have been copied, and where to
 *	claims.c	which destinations are taken
 *	journal.c	what the journal says, and whether it is so
 *	meta.c		mode, owner, times; attributes.c extended attributes and ACLs
 *	lost.c		what of that could not be kept
 *	marks.c		how a later run knows what was never finished
 */
#ifndef BATCHPROC_COPY_H
#define BATCHPROC_COPY_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/device.h"
#include "digest/digest.h"
#include "verb.h"
#include "verbs/copy/lost.h"

struct buf;
struct claims;
struct dest_run;
struct dirnode;
struct hardlink_copy;
struct hardlinks;
struct names_list;
struct item;
struct job;
struct mirror;
struct jobspec;
struct item_class;

/* What a symbolic link stands for: FOLLOW_UNSET is NEVER with -r, else ALL. */
enum copy_follow {
	FOLLOW_UNSET,
	FOLLOW_NEVER, /* -P: itself */
	FOLLOW_NAMED, /* -H: what the user named is followed, what is found is not */
	FOLLOW_ALL, /* -L */
};

/* What becomes of a file that is replaced. */
enum backup {
	BACKUP_NONE,
	BACKUP_SIMPLE, /* a suffix */
	BACKUP_EXISTING, /* numbered where there are such ones, else simple */
	BACKUP_NUMBERED,
};

struct copy_settings {
	bool recursive;
	bool archive; /* FIFOs and devices too, as what they are */
	bool keep_mode;
	bool keep_owner;
	bool keep_times;
	bool keep_xattrs;
	bool keep_links;
	bool plain_mode; /* --no-preserve=mode: new ones get what the umask leaves */
	bool force; /* what may not be written is replaced all the same */
	bool remove_first; /* nothing of what is replaced stays: neither mode nor owner */
	bool attributes_only;
	bool one_file_system;
	bool parents; /* the whole name of a source is its name below the destination */
	bool strip_slashes;
	bool contents; /* of FIFOs and devices */
	enum copy_follow follow;
	bool hard, soft; /* -l, -s */
	enum {
		MAKES_COPIES,
		MAKES_LINKS,
		MAKES_SYMLINKS,
	} makes;
	enum {
		SPARSE_AUTO, /* holes stay holes */
		SPARSE_ALWAYS, /* and blocks of zeros become some */
		SPARSE_NEVER,
	} sparse;
	enum backup backup;
	const char *suffix;
	bool mirror; /* --delete */
	bool has_max_delete;
	uint64_t max_delete;
	bool atomic;
	bool inplace;
	bool sync;
	bool update;
	bool ignore_existing;
	bool verify;
	bool into_or_as; /* as a command: it depends on whether the destination is there */
	bool new_name; /* the destination was not there: it is the name of the only source */
	bool exact; /* the destination is never a directory to copy into */
	enum {
		REFLINK_AUTO,
		REFLINK_ALWAYS,
		REFLINK_NEVER,
	} reflink;
	const struct digest_alg *alg; /* NULL: none is printed */
	const char *target; /* -t */
	mode_t umask;
	uint64_t way; /* a hash of the options that make two items do different things */
	const char *dst; /* as a command: the destination of all sources */
};

/* The options (settings.c). */
extern const struct opt copy_options[];
const char *copy_settle(void *settings, struct common *common);

/* As cp has it, which links to what links lead to. */
static inline enum copy_follow copy_follow_usual(const struct copy_settings *set)
{
	return set->recursive && set->makes != MAKES_LINKS ? FOLLOW_NEVER : FOLLOW_ALL;
}

/* A file that other names may be found of: through links that are followed there may be any. */
static inline bool copy_is_linked(const struct copy_settings *set, const struct stat *st)
{
	return set->keep_links && (st->st_nlink > 1 || set->follow == FOLLOW_ALL);
}

/* Whether a link is followed that the user @named, or that was found in a tree. */
static inline bool copy_follows(const struct copy_settings *set, bool named)
{
	return set->follow == FOLLOW_ALL || (named && set->follow == FOLLOW_NAMED);
}

/* What is replaced is replaced by a new file, which has nothing of it. */
static inline bool copy_anew(const struct copy_settings *set)
{
	return set->remove_first || set->backup != BACKUP_NONE;
}

/* What a run has of this verb: job->copy. */
struct copy_run {
	struct dest_run *dest;
	struct hardlinks *links;
	struct claims *claims;
	struct mirror *mirror; /* NULL: nothing is removed */
	pthread_mutex_t lock; /* of what follows, and of lists of names: see names.c */
	bool swept; /* see leftovers.c */
};

/* Made with the first destination. Main thread. */
struct copy_run *copy_run_of(struct job *job);

/* A name in a directory that is held open. */
struct at_name {
	int dirfd;
	const char *name;
};

/* ---- sources and targets (place.c); main thread */

/* As a command: many sources, and the destination of the settings. As a part of a manifest. */
void copy_feed(struct job *job);
void copy_add(struct job *job, const struct jobspec *spec);

/*
 * The path of a copy in the directory @dst, with a NUL; false where it has no name of its own
 * there.
 */
bool copy_add_destination(struct buf *buf, const char *dst, const char *source);

/* Whether a destination is a symbolic link: with a slash at its end it is what that leads to. */
bool copy_names_link(const char *path);
/* The descriptor that a destination is a name of, such as /dev/stdout; -1: none (opened.c). */
int copy_fd_called(const char *path);

/* ---- trees (tree.c) */

/* Why an item fails that is too late, and why one is skipped that another one is like. */
extern const char copy_claimed[], copy_shared[];

/*
 * The directory and the name that an item's copy gets; the name is NULL for the directory itself.
 */
struct dirnode *copy_place(const struct item *item, const char **name);

/* The path of the copy, as the user knows it; false where it is not known. */
bool copy_add_place(const struct item *item, struct buf *buf);

/*
 * Where in the copy of a tree other items may have their places, so that what is found is claimed.
 */
enum copy_overlap {
	OVERLAP_NONE,
	OVERLAP_TOP, /* among the names in its root */
	OVERLAP_ALL,
};

/* Where the path of an item gets a ./ in --failed-to, so that its copy comes to lie there again. */
struct copy_mark {
	enum {
		MARK_NONE,
		MARK_OWN, /* it is from a list, and may have one */
		MARK_AT, /* before the byte @at */
	} kind;
	size_t at;
	bool in_place; /* the destination itself is the copy of the root */
};

/* Where the copy of a tree comes to lie. */
struct copy_root {
	struct dirnode *dir;
	char *name; /* NULL: in @dir itself */
	enum copy_overlap overlap;
	struct copy_mark mark;
	bool keeps_above; /* see struct copy_item */
};

/* Copies a tree to @at, and takes over what that holds. Main thread. */
void copy_tree_add(struct job *job, const struct item_class *class, const char *path,
		   const struct copy_root *at);
/* What --failed-to calls an item, so that its copy lands where it belongs. */
void copy_list_path(const struct item *item, struct buf *buf);
/*
 * Claims the destination of an item whose source turned out to be @st, where nobody has done so and
 * it may be another one's. With *@skip the item is skipped, since another one has the same source
 * and the same destination. Returns 0 or -errno. Plain calls.
 */
int copy_claim(struct item *item, const struct stat *st, bool *skip);
/* Whether it would do anything. */
bool copy_needs_claim(const struct item *item);
/*
 * The root of the copy of the tree that an item is in, with O_PATH; -1: it is in none. Plain calls.
 */
int copy_tree_open(const struct item *item);
/* The item of a directory: all below it has ended. Task. */
int copy_leave(struct item *item);

/* ---- destinations (dest.c) */

/* What is known of a directory of the destination: dirnode->data. */
struct dest {
	dev_t dev;
	ino_t ino;
	uid_t owner;
	bool marked; /* by its mode, as one that a run did not come to the end of */
	bool made; /* by this run, or such a one: its mode is to be set */
	bool fresh; /* made by this run: no other one has left anything in it */
	bool as_made; /* it got its mode when it was made */
	bool default_acl; /* what is made in it inherits it */
	_Atomic(struct temps *) temps; /* of killed runs in it; NULL: not known; see temp.c */
	atomic_int folds; /* whether names that differ in case are one: see names.c */
	struct names_list *names; /* NULL: not known */
	_Atomic mode_t mark; /* of unfinished files in it, or MARK_UNKNOWN, MARK_NONE: see marks.h */
};

/*
 * A directory that the user named, as the root of what is made below it, with the name to show for
 * it ("" for the working directory). The caller gets a reference. Returns 0 or -errno. Main thread.
 */
int dest_root(struct job *job, const char *path, const char *shown, struct dirnode **root);
/*
 * One below @parent, made if it is not there, for a directory with mode @mode. The caller gets a
 * reference. Returns 0 or -errno, with *@why. Task.
 */
int dest_enter(struct dirnode *parent, const char *name, mode_t mode, struct dirnode **dir,
	       const char **why);
/*
 * One by a path below @root: what stands in @from, the name of a source, behind @at. What is not
 * there of it is made like the source's. The caller gets a reference. Main thread.
 */
int dest_below(const struct job *job, const struct copy_settings *set, struct dirnode *root,
	       const char *from, size_t at, struct dirnode **dir);
/* One that is not made, for a dry run. */
struct dirnode *dest_imagine(struct dirnode *parent, const char *name);

/* Whether @fd is, or is below, the directory @top. Main thread. */
bool dest_is_below(int fd, const struct stat *top);

/*
 * The mark of files in a directory, which is open as @dirfd; asked for where it is not known yet
 * and something new is to be made there. Plain calls.
 */
mode_t dest_mark(struct dest *dest, int dirfd);

/* Waits until the names in a directory are on the device, where that can be said. */
int dest_sync(int dirfd);

/* Claims a name in a directory for a source: see claims_take(). Plain calls. */
int dest_claim(const struct job *job, const struct dirnode *dir, const char *name,
	       const struct stat *source, const struct copy_settings *set);

/* Whether what is open as @fd still has this name. Plain calls. */
bool dest_is_named(int dirfd, const char *name, int fd);

struct dest_run *dest_run_new(void);
void dest_run_free(struct dest_run *run);

/* The name under which @name is made before it gets it, the same each time on this machine. */
void temp_name(const char *name, char temp[NAME_MAX + 1]);
/* Whether it may be that of something else. */
bool temp_is_one(const char *name);
/*
 * Makes the temporary file for @name, and holds it so that no other run takes it for a leftover. A leftover
 * of a run on this machine that was killed is removed first. Returns its descriptor, with its name
 * in @temp, or -errno; -EBUSY: another run on this machine is at it.
 */
int temp_create(int dirfd, const char *name, char temp[NAME_MAX + 1], int flags, mode_t mode);
/* Whether nobody is at what is open as @fd; it is locked then, where there are locks. */
bool temp_is_left(const char *temp, int fd);
/* Removes what has a temporary name. 0, also if there is nothing; -EBUSY a run is at it; -errno. */
int temp_give_way(int dirfd, const char *temp);
/*
 * Whether a directory has files of such names; only so many entries are looked at. 1, 0, or -1:
 * there are more, or it cannot be read.
 */
int temp_any(int dirfd, unsigned int most);
/* The files of such names in a directory; NULL: as -1 above. For free(). */
struct temps *temps_read(int dirfd, unsigned int most);
/* Those of them that are for @name, one after the other, with @at at 0 first; NULL: no more. */
const char *temps_next(const struct temps *temps, const char *name, size_t *at);
/* Frees what is known of a directory. */
void temps_forget(struct dest *dest);
/* Removes a leftover of what is called @name, that a run which was killed may have left. */
void temp_remove(struct dest *dest, int dirfd, const char *name);
/* Likewise for one that is passed over; cheap where no such run was. */
void temp_remove_of_skipped(struct dest *dest, int dirfd, const char *name);

/* ---- metadata (meta.c); plain calls */

mode_t current_umask(void);

/* The mode that counts as the source's, for a copy that does not keep it. */
static inline mode_t meta_source_mode(const struct copy_settings *set, const struct stat *st)
{
	if (!set->plain_mode)
		return st->st_mode;
	return (st->st_mode & S_IFMT) | (S_ISDIR(st->st_mode) ? 0777 : 0666);
}

/* The mode that the copy of something gets; @old is what it replaces, or NULL. */
mode_t meta_mode(const struct copy_settings *set, const struct stat *st, const struct stat *old);

/*
 * What a copy gets its metadata by; nothing of that makes the copy fail, but what is lost is noted.
 */
struct meta {
	const struct copy_settings *set;
	int from; /* the source; may be open with O_PATH, then it has a name too */
	const struct at_name *from_at; /* or NULL */
	const struct stat *st; /* of it */
	int to;
	bool marked; /* it has no mode of its own yet */
	bool bare; /* the source was asked already: it has no attributes */
	bool inherits; /* it may have an ACL from the directory that it is in */
	struct copy_lost *lost;
};

/*
 * Gives the copy what the source has, as far as the settings say so. @mode is set too, unless it is
 * (mode_t)-1. Returns 0, or -errno where the mark could not be taken off.
 */
int meta_set(const struct meta *m, mode_t mode);
/* The times of the directory that the source @path is in, for @to, if times are kept at all. */
void meta_set_above(const struct copy_settings *set, const char *path, int to);
/*
 * Keeps what a write into the old file would have left as it was, and the settings do not take from
 * the source: owner, attributes, ACL. @old_fd is open with O_PATH, and has the name @at. What its
 * owner cannot be given is taken from @mode.
 */
void meta_keep(const struct meta *m, int old_fd, const struct at_name *at, const struct stat *old,
	       mode_t *mode);
/* For what cannot be opened: a symbolic link, a FIFO, a device; @m->to is open with O_PATH. */
void meta_set_special(const struct meta *m, const struct at_name *to);

/* ---- files (file.c) */

struct copy_item {
	struct dirnode *dir; /* of what was named itself: where its copy comes to lie */
	char *name;
	struct copy_mark mark; /* of what was named itself, or could not be entered */
	bool claimed; /* nobody else has its destination, or may have it */
	bool alone; /* nothing else is copied in this run */
	bool keeps_above; /* what it is copied into keeps the times of what its source is in */
	bool into_fd; /* it is written to what is open already as @fd: standard output */
	int fd;
	enum device_kind kind; /* of what was named itself: what its device is */
	struct copy_lost lost; /* what the copy should have kept, and did not */
	char *backup; /* the name that what was there has now, or NULL */
	bool has_digest;
	unsigned char digest[DIGEST_SIZE_MAX];
};

/*
 * The kind of device by which calls for an item are made: of the source; or of both, where @dest,
 * which is open as @dirfd, is asked too. Task.
 */
enum device_kind copy_source_kind(const struct item *item);
enum device_kind copy_kind(const struct item *item, const struct dest *dest, int dirfd);

/* One attempt at an item that is a file, a link, a FIFO ...; its directories are held open. */
int copy_file(struct item *item, const struct at_name *from, const struct at_name *to,
	      struct dest *dest);
/* The same for a symbolic link, and for what must not be opened: a FIFO, a socket, a device. */
int special_copy(struct item *item, const struct at_name *from, const struct at_name *to,
		 struct dest *dest);
/* Makes @to a link, hard or symbolic, to the source itself. Task. */
int special_instead(struct item *item, const struct at_name *from, const struct at_name *to,
		    struct dest *dest);
/* Makes @to a link to the copy. Task. */
int special_link(struct item *item, const struct hardlink_copy *copy, const struct at_name *to,
		 struct dest *dest);

/* ---- backups (backup.c); plain calls */

/*
 * Gives what is there under @to the name of its backup, which the item notes; the source is @st.
 * Returns 0 or -errno, with the item's reason.
 */
int backup_make(struct item *item, const struct stat *st, const struct at_name *to);
/* Takes that back: nothing came of it. */
void backup_undo(struct item *item, const struct at_name *to);

/* ---- --delete (mirror.c) */

/* A tree that is copied to @name in @dir, or to that itself. Main thread. */
void mirror_note_root(struct job *job, const char *path, struct dirnode *dir, const char *name);
/* A source of whatever kind, as it was named; nothing of it is removed. Main thread. */
void mirror_note_source(struct job *job, const char *path);
/* A directory of a tree, which is @st, was opened and will be read. Any thread. */
void mirror_note_entered(struct job *job, const struct stat *st);
/* It was read to its end. Any thread. */
void mirror_note_listed(struct job *job, const struct dirnode *dir);
/* After all has been copied: removes what their sources have not. Main thread. */
void mirror_run(struct job *job);
void mirror_free(struct mirror *mirror);

/* ---- the journal (journal.c): see struct item_ops */

void copy_journal_options(const void *settings, struct buf *buf);
void copy_journal_adopt(void *settings, const char *options);
void copy_journal_key(const struct item *item, struct buf *buf);
void copy_journal_result(const struct item *item, struct buf *buf);
bool copy_journal_restore(struct item *item, const char *result, size_t len);
bool copy_journal_pass(struct item *item);
bool copy_journal_always(const struct item *item);

#endif
