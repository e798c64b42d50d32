/* SPDX-License-Identifier: MIT */
/*
 * screen - a small terminal, for what a person would see of what was written to one
 *
 * Rows go on for ever instead of scrolling away. It knows the carriage return, the line feed, the
 * tabulator, colours, and how to erase to the end of a row or of the screen; anything else is a
 * failure. Like a real one it wraps only when a character is written behind the last column.
 */
#ifndef BATCHPROC_TESTS_SCREEN_H
#define BATCHPROC_TESTS_SCREEN_H

#include "support/cmd.h"

#define SCREEN_ROWS 500
#define SCREEN_COLUMNS 200

struct row_of_text {
	char text[SCREEN_COLUMNS + 1];
	unsigned int len;
	bool wraps; /* it goes on in the next row */
};

struct screen {
	unsigned int columns;
	unsigned int x, y; /* the cursor; x may be columns: a character there wraps */
	struct row_of_text *rows;
	char escape[16]; /* a sequence that has begun */
	unsigned int escape_len;
};

void screen_init(struct screen *screen, unsigned int columns);
void screen_free(struct screen *screen);
void screen_feed(struct screen *screen, const char *data, size_t len);

/**
 * Another width. With @reflow rows that wrapped are joined and broken anew, and the cursor stays
 * with its character, as tmux and most others do it; without, rows are cut off, as xterm does it.
 */
void screen_resize(struct screen *screen, unsigned int columns, bool reflow);

/** A row as it looks, without the blanks at its end. */
const char *screen_row(const struct screen *screen, unsigned int y);

/** How many rows have anything in them, up to the last one. */
unsigned int screen_height(const struct screen *screen);

#endif
