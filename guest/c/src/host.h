/* The streams and pollables of the host, without the long names of the bindings.
 *
 * No call of this file ends the component: a handle is used only while it lives, and a pollable
 * never outlives the call that made it. */
#ifndef HOST_H
#define HOST_H

#include "library.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most that one call moves, in bytes: what a pipe of the host holds. */
#define CHUNK 65536
/* No handle. */
#define NONE (-1)
/* The other end of a stream is closed; other results are counts. */
#define CLOSED (-1)

typedef wasi_io_streams_own_input_stream_t input_stream;
typedef wasi_io_streams_own_output_stream_t output_stream;

/* Never blocks. Returns the number of bytes, 0 if there are none now, or CLOSED. */
long stream_read(input_stream, void *buffer, size_t size);
/* Never blocks. Returns the number of bytes that were accepted, or CLOSED. */
long stream_write(output_stream, const void *bytes, size_t size);
/* Never blocks. Returns the number of bytes that a write accepts, or CLOSED. */
long stream_room(output_stream);
/* Moves bytes inside the host. Returns their number, or CLOSED if either end is closed. */
long stream_splice(output_stream, input_stream);
/* Waits until all that was written has left the component. */
void stream_flush(output_stream);
bool stream_readable(input_stream);
void input_close(input_stream *);
void output_close(output_stream *);

/* What one wait waits for. */
struct waits {
	wasi_io_poll_borrow_pollable_t *pollables;
	size_t count, room;
};

void waits_input(struct waits *, input_stream);
void waits_output(struct waits *, output_stream);
void waits_child(struct waits *, capspawn_process_spawn_own_child_t);
/* Blocks until one is ready or the time has passed. Forgets all of them. */
void waits_block(struct waits *, uint64_t deadline_ns);

/* Never. */
#define NO_DEADLINE UINT64_MAX
uint64_t now_ns(void);
uint64_t deadline_after_ms(uint64_t milliseconds);

#endif
