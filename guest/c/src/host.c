#include "host.h"
#include <stdlib.h>

/* Where the next list of the host goes, so that bytes arrive in the caller's buffer without a copy.
 * One call returns one list. */
static struct {
	unsigned char *bytes;
	size_t size;
} destination;

/* The host calls this for memory, instead of the weak function of the bindings. */
__attribute__((export_name("cabi_realloc"))) void *
cabi_realloc(void *old, size_t old_size, size_t align, size_t size)
{
	(void)old_size;
	if (!size)
		return (void *)align;
	if (!old && destination.bytes && size <= destination.size) {
		void *here = destination.bytes;
		destination.bytes = NULL;
		return here;
	}
	void *memory = realloc(old, size);
	if (!memory)
		abort();
	return memory;
}

static void forget(wasi_io_streams_stream_error_t *error)
{
	wasi_io_streams_stream_error_free(error);
}

long stream_read(input_stream stream, void *buffer, size_t size)
{
	library_list_u8_t list = {0};
	wasi_io_streams_stream_error_t error;
	destination.bytes = buffer;
	destination.size = size;
	bool open = wasi_io_streams_method_input_stream_read(
		wasi_io_streams_borrow_input_stream(stream), size, &list, &error);
	destination.bytes = NULL;
	if (!open) {
		forget(&error);
		return CLOSED;
	}
	/* The bytes are in the buffer. */
	return (long)list.len;
}

long stream_room(output_stream stream)
{
	uint64_t room;
	wasi_io_streams_stream_error_t error;
	if (!wasi_io_streams_method_output_stream_check_write(
		    wasi_io_streams_borrow_output_stream(stream), &room, &error)) {
		forget(&error);
		return CLOSED;
	}
	return room < CHUNK ? (long)room : CHUNK;
}

long stream_write(output_stream stream, const void *bytes, size_t size)
{
	long room = stream_room(stream);
	if (room <= 0 || !size)
		return room < 0 ? CLOSED : 0;
	library_list_u8_t list = {(uint8_t *)bytes, size < (size_t)room ? size : (size_t)room};
	wasi_io_streams_stream_error_t error;
	if (!wasi_io_streams_method_output_stream_write(
		    wasi_io_streams_borrow_output_stream(stream), &list, &error)) {
		forget(&error);
		return CLOSED;
	}
	return (long)list.len;
}

long stream_splice(output_stream to, input_stream from)
{
	uint64_t moved;
	wasi_io_streams_stream_error_t error;
	if (!wasi_io_streams_method_output_stream_splice(wasi_io_streams_borrow_output_stream(to),
		    wasi_io_streams_borrow_input_stream(from), CHUNK, &moved, &error)) {
		forget(&error);
		return CLOSED;
	}
	return (long)moved;
}

void stream_flush(output_stream stream)
{
	wasi_io_streams_stream_error_t error;
	if (!wasi_io_streams_method_output_stream_blocking_flush(
		    wasi_io_streams_borrow_output_stream(stream), &error))
		forget(&error);
}

bool stream_readable(input_stream stream)
{
	wasi_io_poll_own_pollable_t pollable = wasi_io_streams_method_input_stream_subscribe(
		wasi_io_streams_borrow_input_stream(stream));
	bool ready = wasi_io_poll_method_pollable_ready(wasi_io_poll_borrow_pollable(pollable));
	wasi_io_poll_pollable_drop_own(pollable);
	return ready;
}

void input_close(input_stream *stream)
{
	if (stream->__handle != NONE)
		wasi_io_streams_input_stream_drop_own(*stream);
	stream->__handle = NONE;
}

void output_close(output_stream *stream)
{
	if (stream->__handle != NONE)
		wasi_io_streams_output_stream_drop_own(*stream);
	stream->__handle = NONE;
}

static void waits_add(struct waits *waits, wasi_io_poll_own_pollable_t pollable)
{
	if (waits->count == waits->room) {
		waits->room = waits->room ? 2 * waits->room : 8;
		waits->pollables = realloc(waits->pollables, waits->room * sizeof *waits->pollables);
		if (!waits->pollables)
			abort();
	}
	waits->pollables[waits->count++] = wasi_io_poll_borrow_pollable(pollable);
}

void waits_input(struct waits *waits, input_stream stream)
{
	waits_add(waits, wasi_io_streams_method_input_stream_subscribe(
				 wasi_io_streams_borrow_input_stream(stream)));
}

void waits_output(struct waits *waits, output_stream stream)
{
	waits_add(waits, wasi_io_streams_method_output_stream_subscribe(
				 wasi_io_streams_borrow_output_stream(stream)));
}

void waits_child(struct waits *waits, capspawn_process_spawn_own_child_t child)
{
	waits_add(waits,
		capspawn_process_spawn_method_child_subscribe(capspawn_process_spawn_borrow_child(child)));
}

void waits_block(struct waits *waits, uint64_t deadline_ns)
{
	if (deadline_ns != NO_DEADLINE) {
		uint64_t now = now_ns();
		waits_add(waits, wasi_clocks_monotonic_clock_subscribe_duration(
					 now < deadline_ns ? deadline_ns - now : 0));
	}
	if (waits->count) {
		wasi_io_poll_list_borrow_pollable_t list = {waits->pollables, waits->count};
		library_list_u32_t ready = {0};
		wasi_io_poll_poll(&list, &ready);
		library_list_u32_free(&ready);
	}
	for (size_t i = 0; i < waits->count; i++) {
		wasi_io_poll_own_pollable_t pollable = {waits->pollables[i].__handle};
		wasi_io_poll_pollable_drop_own(pollable);
	}
	free(waits->pollables);
	*waits = (struct waits){0};
}

uint64_t now_ns(void)
{
	return wasi_clocks_monotonic_clock_now();
}

uint64_t deadline_after_ms(uint64_t milliseconds)
{
	uint64_t now = now_ns();
	return milliseconds < (NO_DEADLINE - now) / 1000000 ? now + milliseconds * 1000000 : NO_DEADLINE;
}
