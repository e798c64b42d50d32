/* SPDX-License-Identifier: MIT */
/*
 * docs.h - what the files of bench-docs share
 */
#ifndef DOCS_H
#define DOCS_H

#include <jansson.h>
#include <stdbool.h>

/* Text and numbers of an object; "" and 0 where it has none. */
const char *text(const json_t *o, const char *key);
double number(const json_t *o, const char *key);

/* Whether a name begins with something. */
bool begins(const char *name, const char *with);

/* A figure with three significant digits and no exponent. */
const char *figure(double v);

/* The page, as Markdown, on standard output. */
int print_page(const json_t *bench);

/* A picture for gnuplot on standard output. Return: 0, or 3 where there is nothing to be drawn. */
int print_plot(const json_t *bench, const char *name);
bool has_plot(const json_t *bench, const char *name);

#endif /* DOCS_H */
