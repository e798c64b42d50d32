/* SPDX-License-Identifier: MIT */
/*
 * screen - a small terminal, for what a person would see of what was written to one
 */
#include "support/screen.h"

void screen_init(struct screen *screen, unsigned int columns)
{
	*screen = (struct screen){.columns = columns};
	screen->rows = calloc(SCREEN_ROWS, sizeof(*screen->rows));
	assert_non_null(screen->rows);
	assert_true(columns <= SCREEN_COLUMNS);
}

void screen_free(struct screen *screen)
{
	free(screen->rows);
	screen->rows = NULL;
}

static void go_down(struct screen *screen)
{
	assert_true(screen->y + 1 < SCREEN_ROWS);
	screen->y++;
}

static void put_char(struct screen *screen, char c)
{
	struct row_of_text *row;

	if (screen->x >= screen->columns) {
		screen->rows[screen->y].wraps = true;
		go_down(screen);
		screen->x = 0;
	}
	row = &screen->rows[screen->y];
	while (row->len < screen->x)
		row->text[row->len++] = ' ';
	row->text[screen->x++] = c;
	if (row->len < screen->x)
		row->len = screen->x;
}

static void erase(struct screen *screen, bool below)
{
	struct row_of_text *row = &screen->rows[screen->y];

	if (row->len > screen->x)
		row->len = screen->x;
	row->wraps = false;
	for (unsigned int y = screen->y + 1; below && y < SCREEN_ROWS; y++)
		screen->rows[y] = (struct row_of_text){0};
}

static void end_escape(struct screen *screen)
{
	const char *sequence = screen->escape;

	screen->escape[screen->escape_len] = '\0';
	screen->escape_len = 0;
	if (!strcmp(sequence, "\033[K") || !strcmp(sequence, "\033[J"))
		erase(screen, sequence[2] == 'J');
	else if (sequence[strlen(sequence) - 1] != 'm')
		record_failure("the terminal does not know ESC %s", sequence + 1);
}

static void take_escape(struct screen *screen, char c)
{
	assert_true(screen->escape_len + 1 < sizeof(screen->escape));
	screen->escape[screen->escape_len++] = c;
	if (screen->escape_len > 2 && c >= '@' && c <= '~')
		end_escape(screen);
}

void screen_feed(struct screen *screen, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = data[i];

		if (screen->escape_len || c == '\033')
			take_escape(screen, c);
		else if (c == '\r')
			screen->x = 0;
		else if (c == '\n')
			go_down(screen);
		else if (c && (unsigned char)c >= ' ')
			put_char(screen, c);
		else if (c) /* terminals ignore NUL */
			record_failure("the terminal does not know character %d", c);
	}
}

static void cut(struct screen *screen, unsigned int columns)
{
	for (unsigned int y = 0; y < SCREEN_ROWS; y++) {
		if (screen->rows[y].len > columns)
			screen->rows[y].len = columns;
		screen->rows[y].wraps = false;
	}
	screen->columns = columns;
	if (screen->x > columns)
		screen->x = columns;
}

void screen_resize(struct screen *screen, unsigned int columns, bool reflow)
{
	unsigned int last = screen_height(screen);
	struct screen anew;

	if (!reflow) {
		cut(screen, columns);
		return;
	}
	screen_init(&anew, columns);
	if (last <= screen->y)
		last = screen->y + 1;
	for (unsigned int y = 0, cursor_x = 0, cursor_y = 0; y < last; y++) {
		const struct row_of_text *row = &screen->rows[y];

		for (unsigned int x = 0; x < row->len || (y == screen->y && x <= screen->x); x++) {
			bool under_cursor = y == screen->y && x == screen->x;

			if (x < row->len)
				put_char(&anew, row->text[x]);
			if (!under_cursor)
				continue;
			cursor_x = x < row->len ? anew.x - 1 : anew.x;
			cursor_y = anew.y;
		}
		if (!row->wraps && y + 1 < last) {
			anew.x = 0;
			go_down(&anew);
		} else if (y + 1 == last) {
			anew.x = cursor_x;
			anew.y = cursor_y;
		}
	}
	screen_free(screen);
	*screen = anew;
}

const char *screen_row(const struct screen *screen, unsigned int y)
{
	struct row_of_text *row = &screen->rows[y];
	unsigned int len = row->len;

	while (len && row->text[len - 1] == ' ')
		len--;
	row->text[len] = '\0';
	return row->text;
}

unsigned int screen_height(const struct screen *screen)
{
	unsigned int y = SCREEN_ROWS;

	while (y && !*screen_row(screen, y - 1))
		y--;
	return y;
}
