/* A pipe of the component, whose ends this component and its children hold.
 *
 * A child's output is a source of the pipe, and a child's standard input drains it. Where one child
 * writes and one reads, the host connects the two and no byte comes through the component. */
#ifndef PIPES_H
#define PIPES_H

#include "host.h"

struct child;

/* One output of a child, on its way somewhere. The stream is taken when the first byte is needed: until
 * then the host can still hand it to another child. */
struct source {
	struct source *next;
	struct child *child;
	/* 1 or 2. */
	int number;
	bool taken;
	input_stream stream;
};

struct pipe {
	/* Open descriptions in this component. */
	int readers, writers;
	/* What the component has written and nobody has read. */
	unsigned char *bytes;
	size_t begin, end;
	struct source *sources;
	/* The standard input of the child that reads it, if the component feeds it. */
	output_stream sink;
	/* Its child, for as long as the stream can still be handed to a child that writes. */
	struct child *sink_child;
	/* The component feeds the sink whenever it waits. */
	bool fed;
};

struct pipe *pipe_new(void);
void pipe_end_closed(struct pipe *, bool writing);
/* Frees the pipe if nobody uses it. */
void pipe_settle(struct pipe *);

/* These never block. They return the number of bytes, 0 for none now, or CLOSED for the end. */
long pipe_read(struct pipe *, void *, size_t);
long pipe_write(struct pipe *, const void *, size_t);
bool pipe_readable(struct pipe *);
/* What makes the next read or write possible. */
void pipe_wait_readable(struct pipe *, struct waits *);
void pipe_wait_writable(struct pipe *, struct waits *);
/* Moves bytes towards the child that reads it. Returns whether any moved. */
bool pipe_drain(struct pipe *);
void pipe_wait_drain(struct pipe *, struct waits *);

bool source_take(struct source *);
void source_close(struct source *);

#endif
