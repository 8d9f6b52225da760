#include "children.h"
#include <errno.h>
#include <stdlib.h>
#include <wasi/api.h>

static struct flow *flows;
/* Pipes that children read and that the component feeds. */
static struct fed {
	struct fed *next;
	struct pipe *pipe;
} *fed;

static struct flow *flow_new(struct child *child, struct description *file)
{
	struct flow *flow = calloc(1, sizeof *flow);
	if (!flow)
		abort();
	flow->child = child;
	flow->file = description_keep(file);
	flow->input.__handle = flow->own_input.__handle = flow->own_output.__handle = NONE;
	flow->next = flows;
	flows = flow;
	return flow;
}

void child_reads_pipe(struct child *child, struct pipe *pipe)
{
	pipe->sink_child = child;
	child->holds++;
	struct fed *one = malloc(sizeof *one);
	if (!one)
		abort();
	*one = (struct fed){fed, pipe};
	fed = one;
	pipe->fed = true;
	/* Where all writers are closed already, the child finds the end. */
	pipe_settle(pipe);
}

void child_reads_file(struct child *child, struct description *file)
{
	struct flow *flow = flow_new(child, file);
	flow->input = child_take_input(child);
	if (file->file == 0)
		flow->own_input = wasi_cli_stdin_get_stdin();
}

void child_writes_file(struct child *child, int number, struct description *file)
{
	struct flow *flow = flow_new(child, file);
	flow->source = child_output(child, number);
	if (file->file == 1)
		flow->own_output = wasi_cli_stdout_get_stdout();
	else if (file->file == 2)
		flow->own_output = wasi_cli_stderr_get_stderr();
}

static void flow_end(struct flow **link)
{
	struct flow *flow = *link;
	*link = flow->next;
	if (flow->source)
		source_close(flow->source);
	output_close(&flow->input);
	if (flow->own_output.__handle != NONE)
		stream_flush(flow->own_output);
	output_close(&flow->own_output);
	input_close(&flow->own_input);
	description_drop(flow->file);
	free(flow->bytes);
	free(flow);
}

static bool write_file(int fd, const unsigned char *bytes, size_t size)
{
	while (size) {
		__wasi_ciovec_t vector = {bytes, size};
		size_t written;
		if (__wasi_fd_write(fd, &vector, 1, &written) || !written)
			return false;
		bytes += written;
		size -= written;
	}
	return true;
}

static unsigned char *buffer(struct flow *flow)
{
	if (!flow->bytes && !(flow->bytes = malloc(CHUNK)))
		abort();
	return flow->bytes;
}

/* Each returns the number of bytes that moved, or CLOSED at the end. */
static long step_output(struct flow *flow)
{
	if (!source_take(flow->source))
		return CLOSED;
	if (flow->own_output.__handle != NONE)
		return stream_splice(flow->own_output, flow->source->stream);
	long count = stream_read(flow->source->stream, buffer(flow), CHUNK);
	return count > 0 && !write_file(flow->file->file, flow->bytes, count) ? CLOSED : count;
}

static long step_input(struct flow *flow)
{
	if (flow->own_input.__handle != NONE)
		return stream_splice(flow->input, flow->own_input);
	if (flow->begin == flow->end) {
		__wasi_iovec_t vector = {buffer(flow), CHUNK};
		size_t count;
		if (__wasi_fd_read(flow->file->file, &vector, 1, &count) || !count)
			return CLOSED;
		flow->begin = 0;
		flow->end = count;
	}
	long count = stream_write(flow->input, flow->bytes + flow->begin, flow->end - flow->begin);
	if (count > 0)
		flow->begin += count;
	return count;
}

bool flows_step(void)
{
	bool moved = false;
	for (struct flow **link = &flows; *link;) {
		long count = (*link)->source ? step_output(*link) : step_input(*link);
		moved |= count != 0;
		if (count == CLOSED)
			flow_end(link);
		else
			link = &(*link)->next;
	}
	for (struct fed **link = &fed; *link;) {
		struct pipe *pipe = (*link)->pipe;
		moved |= pipe_drain(pipe);
		pipe_settle(pipe);
		if (pipe->sink.__handle == NONE && !pipe->sink_child) {
			struct fed *one = *link;
			*link = one->next;
			free(one);
			pipe->fed = false;
			/* It stays while one of its ends is open. */
			pipe_settle(pipe);
		} else {
			link = &(*link)->next;
		}
	}
	return moved;
}

void flows_wait(struct waits *waits)
{
	for (struct flow *flow = flows; flow; flow = flow->next) {
		output_stream to = flow->source ? flow->own_output : flow->input;
		if (to.__handle != NONE && stream_room(to) == 0)
			waits_output(waits, to);
		else if (flow->source)
			waits_input(waits, flow->source->stream);
		else if (flow->own_input.__handle != NONE)
			waits_input(waits, flow->own_input);
	}
	for (struct fed *one = fed; one; one = one->next)
		pipe_wait_drain(one->pipe, waits);
}

bool flows_have_output_of(struct child *child)
{
	for (struct flow *flow = flows; flow; flow = flow->next)
		if (flow->child == child && flow->source)
			return true;
	return false;
}

void flows_end_input_of(struct child *child)
{
	for (struct flow **link = &flows; *link;)
		if ((*link)->child == child && !(*link)->source)
			flow_end(link);
		else
			link = &(*link)->next;
}

int block_until(bool (*ready)(void *), void (*wait)(void *, struct waits *), void *context, uint64_t deadline_ns)
{
	for (;;) {
		if (ready(context))
			return 0;
		if (flows_step())
			continue;
		if (deadline_ns != NO_DEADLINE && now_ns() >= deadline_ns)
			return ETIMEDOUT;
		struct waits waits = {0};
		flows_wait(&waits);
		wait(context, &waits);
		if (!waits.count && deadline_ns == NO_DEADLINE)
			return EDEADLK;
		waits_block(&waits, deadline_ns);
	}
}
