/* The descriptors of the component: those of WASI, and those that this library makes.
 *
 * WASI 0.1 can neither make a pipe nor duplicate a descriptor. So this library has a table by
 * number, and the functions of the C library that take a descriptor look there first. A number
 * without an entry is WASI's own. */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pipe;

enum kind { READING, WRITING, FILE_OF_WASI, NULL_DEVICE };

/* An open file description. */
struct description {
	enum kind kind;
	int references;
	bool nonblocking;
	struct pipe *pipe;
	int file;
};

/* Numbers from here on are this library's, so that they never meet those of WASI. */
#define FIRST_OWN 512
#define LAST_OWN 1023

/* The description of a number, or NULL if WASI has it. */
struct description *description_of(int fd);
/* A description of what WASI has at this number. NULL with `errno` if nothing is open there. */
struct description *description_of_file(int fd);
struct description *description_new(enum kind, struct pipe *, int file);
struct description *description_keep(struct description *);
void description_drop(struct description *);
/* Gives it the lowest free number, and takes the reference. Returns -1 with `errno` if all are used. */
int description_install(struct description *, int lowest);
/* Whether the program closed this descriptor of WASI, which a child still uses. */
bool is_closed(int fd);

#endif
