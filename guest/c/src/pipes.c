#include "pipes.h"
#include "children.h"
#include <stdlib.h>
#include <string.h>

struct pipe *pipe_new(void)
{
	struct pipe *pipe = calloc(1, sizeof *pipe);
	if (!pipe)
		return NULL;
	pipe->readers = pipe->writers = 1;
	pipe->sink.__handle = NONE;
	return pipe;
}

bool source_take(struct source *source)
{
	if (!source->taken) {
		source->taken = true;
		source->stream = child_take_output(source->child, source->number);
	}
	return source->stream.__handle != NONE;
}

void source_close(struct source *source)
{
	/* Taking it and dropping it is how the child learns that nobody reads. */
	source_take(source);
	input_close(&source->stream);
	child_source_gone(source);
	free(source);
}

/* The stream to the child that reads; afterwards the host can no longer hand it on. */
static bool take_sink(struct pipe *pipe)
{
	if (pipe->sink.__handle == NONE && pipe->sink_child) {
		pipe->sink = child_take_input(pipe->sink_child);
		child_sink_gone(pipe->sink_child);
		pipe->sink_child = NULL;
	}
	return pipe->sink.__handle != NONE;
}

/* Whether a read of the component, or a child that the component feeds, takes what arrives. */
static bool is_read(struct pipe *pipe)
{
	return pipe->readers || pipe->sink.__handle != NONE || pipe->sink_child;
}

static void close_sources(struct pipe *pipe)
{
	while (pipe->sources) {
		struct source *source = pipe->sources;
		pipe->sources = source->next;
		source_close(source);
	}
}

void pipe_settle(struct pipe *pipe)
{
	if (!is_read(pipe)) {
		close_sources(pipe);
		pipe->begin = pipe->end = 0;
	}
	bool empty = pipe->begin == pipe->end;
	if (!pipe->writers && !pipe->sources && empty) {
		/* The child that reads finds the end of the file. */
		take_sink(pipe);
		output_close(&pipe->sink);
		if (!pipe->readers && !pipe->fed) {
			free(pipe->bytes);
			free(pipe);
		}
	}
}

void pipe_end_closed(struct pipe *pipe, bool writing)
{
	writing ? pipe->writers-- : pipe->readers--;
	pipe_settle(pipe);
}

/* The child's end of the file. */
static void unlink_source(struct pipe *pipe, struct source *source)
{
	struct source **link = &pipe->sources;
	while (*link != source)
		link = &(*link)->next;
	*link = source->next;
	source_close(source);
}

long pipe_read(struct pipe *pipe, void *buffer, size_t size)
{
	size_t held = pipe->end - pipe->begin;
	if (held) {
		size_t count = size < held ? size : held;
		memcpy(buffer, pipe->bytes + pipe->begin, count);
		pipe->begin += count;
		return (long)count;
	}
	for (struct source *source = pipe->sources, *next; source; source = next) {
		next = source->next;
		long count = source_take(source) ? stream_read(source->stream, buffer, size) : CLOSED;
		if (count > 0)
			return count;
		if (count == CLOSED)
			unlink_source(pipe, source);
	}
	return pipe->sources || pipe->writers ? 0 : CLOSED;
}

bool pipe_readable(struct pipe *pipe)
{
	if (pipe->begin != pipe->end || (!pipe->sources && !pipe->writers))
		return true;
	for (struct source *source = pipe->sources; source; source = source->next)
		if (!source_take(source) || stream_readable(source->stream))
			return true;
	return false;
}

void pipe_wait_readable(struct pipe *pipe, struct waits *waits)
{
	for (struct source *source = pipe->sources; source; source = source->next)
		if (source_take(source))
			waits_input(waits, source->stream);
}

long pipe_write(struct pipe *pipe, const void *bytes, size_t size)
{
	if (!is_read(pipe))
		return CLOSED;
	if (pipe->begin == pipe->end && !pipe->readers && take_sink(pipe)) {
		long count = stream_write(pipe->sink, bytes, size);
		if (count == CLOSED)
			output_close(&pipe->sink);
		return count;
	}
	if (pipe->begin == pipe->end)
		pipe->begin = pipe->end = 0;
	if (!pipe->bytes && !(pipe->bytes = malloc(CHUNK)))
		abort();
	if (pipe->begin && pipe->end == CHUNK) {
		memmove(pipe->bytes, pipe->bytes + pipe->begin, pipe->end - pipe->begin);
		pipe->end -= pipe->begin;
		pipe->begin = 0;
	}
	size_t room = CHUNK - pipe->end, count = size < room ? size : room;
	memcpy(pipe->bytes + pipe->end, bytes, count);
	pipe->end += count;
	return (long)count;
}

void pipe_wait_writable(struct pipe *pipe, struct waits *waits)
{
	if (take_sink(pipe))
		waits_output(waits, pipe->sink);
}

bool pipe_drain(struct pipe *pipe)
{
	bool moved = false;
	if (pipe->begin == pipe->end && !pipe->sources) {
		/* The reader's end of the file comes when the last writer closes. */
		return false;
	}
	if (!take_sink(pipe))
		return false;
	long count = 0;
	if (pipe->begin != pipe->end) {
		count = stream_write(pipe->sink, pipe->bytes + pipe->begin, pipe->end - pipe->begin);
		if (count > 0)
			pipe->begin += count;
	} else if (source_take(pipe->sources)) {
		struct source *source = pipe->sources;
		count = stream_splice(pipe->sink, source->stream);
		if (count == CLOSED && stream_room(pipe->sink) != CLOSED) {
			unlink_source(pipe, source);
			return moved = true;
		}
	} else {
		unlink_source(pipe, pipe->sources);
		return true;
	}
	if (count == CLOSED) {
		output_close(&pipe->sink);
		return true;
	}
	return count > 0;
}

void pipe_wait_drain(struct pipe *pipe, struct waits *waits)
{
	if (pipe->sink.__handle == NONE)
		return;
	if (stream_room(pipe->sink) == 0)
		waits_output(waits, pipe->sink);
	else if (pipe->sources && pipe->begin == pipe->end)
		waits_input(waits, pipe->sources->stream);
}
