/* The children of this component, and all that moves between them and the component's files.
 *
 * Files of the component are no files of the host, so their bytes are copied, whenever the component
 * waits for something. */
#ifndef CHILDREN_H
#define CHILDREN_H

#include "descriptors.h"
#include "pipes.h"
#include <sys/types.h>

/* A copy between a child and a file of the component. */
struct flow {
	struct flow *next;
	struct child *child;
	/* The output of the child that is copied into `file`; or `input`, which `file` is copied into. */
	struct source *source;
	output_stream input;
	struct description *file;
	/* The stream of the host behind descriptors 0 to 2. */
	input_stream own_input;
	output_stream own_output;
	unsigned char *bytes;
	size_t begin, end;
};

struct child {
	struct child *next;
	pid_t pid;
	capspawn_process_spawn_own_child_t handle;
	/* Sources and a sink that need the handle. */
	int holds;
	/* waitpid has reported it. */
	bool reaped;
	/* Why the host ended it, or NULL. */
	const char *kill_reason;
	/* The child leads a session or group of its own, so that a negative number names it. */
	bool leads;
};

/* The child with this number, reaped or not, or NULL. */
struct child *child_find(pid_t);
/* The status as waitpid has it, for a child that has ended. */
bool child_status(struct child *, int *status);
bool flows_have_output_of(struct child *);
void flows_end_input_of(struct child *);

struct child *child_add(capspawn_process_spawn_own_child_t, bool leads);
struct source *child_output(struct child *, int number);
/* Connects the streams of a started child. */
void child_reads_pipe(struct child *, struct pipe *);
void child_reads_file(struct child *, struct description *);
void child_writes_file(struct child *, int number, struct description *);
/* Each stream can be taken once. A handle of NONE means that it was. */
input_stream child_take_output(struct child *, int number);
output_stream child_take_input(struct child *);
void child_source_gone(struct source *);
void child_sink_gone(struct child *);

/* Copies what can be copied now. Returns whether anything moved. */
bool flows_step(void);
void flows_wait(struct waits *);
/* Blocks until `ready(context)`, and copies meanwhile. `wait` adds what to wait for. Returns 0, ETIMEDOUT, or
 * EDEADLK if nothing can ever happen. */
int block_until(bool (*ready)(void *), void (*wait)(void *, struct waits *), void *context, uint64_t deadline_ns);

#endif
