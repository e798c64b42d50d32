/* SPDX-License-Identifier: MIT */
/*
 * Channels: bounded queues between tasks, in memory of the caller's. Under the engine's lock.
 *
 * Who waits to receive waits because nothing is there, and who waits to send because there is no
 * room, so at most one of the two queues has anybody in it. A message goes from the sender's memory
 * to a waiting receiver's at once.
 */
#include <string.h>

#include "sync.h"

struct channel_waiter {
	struct waiter w;
	void *item; /* to be filled, or sent */
};

static struct channel_waiter *first_of(struct bp_link_ *queue)
{
	sync_queue(queue);
	if (list_empty(queue))
		return NULL;
	return container_of(waiter_of_link(queue->next), struct channel_waiter, w);
}

int bp_channel_init(struct bp_channel *channel, struct bp_engine *engine, void *memory,
		    size_t item_size, size_t capacity)
{
	bp_need(channel, __func__, "channel");
	bp_need(engine, __func__, "engine");
	if (!item_size || item_size > BP_CHANNEL_ITEM_MAX || (capacity && !memory) ||
	    capacity > SIZE_MAX / item_size)
		return -EINVAL;
	*channel = (struct bp_channel){
		.engine_ = engine,
		.memory_ = memory,
		.item_size_ = item_size,
		.capacity_ = capacity,
	};
	return 0;
}

static struct bp_engine *channel_enter(struct bp_channel *channel, const char *call)
{
	bp_need(channel, call, "channel");
	return sync_enter(channel->engine_, call);
}

static void put(struct bp_channel *channel, const void *item)
{
	size_t at = channel->first_ + channel->count_;

	if (at >= channel->capacity_)
		at -= channel->capacity_;
	memcpy(channel->memory_ + at * channel->item_size_, item, channel->item_size_);
	channel->count_++;
}

static void get(struct bp_channel *channel, void *item)
{
	memcpy(item, channel->memory_ + channel->first_ * channel->item_size_, channel->item_size_);
	if (++channel->first_ == channel->capacity_)
		channel->first_ = 0;
	channel->count_--;
}

static int channel_send(struct bp_channel *channel, const void *item, bool try, uint64_t until,
			const char *call)
{
	struct channel_waiter waiter = {.w.what = "room in a channel", .item = (void *)item};
	struct bp_engine *engine = channel_enter(channel, call);
	struct channel_waiter *receiver = first_of(&channel->receivers_);
	int err = try ? 0 : wait_reason(engine);

	if (!item)
		err = -EINVAL;
	else if (!err && channel->closed_)
		err = -EPIPE;
	if (err) {
		engine_unlock(engine);
		return err;
	}
	if (receiver) {
		memcpy(receiver->item, item, channel->item_size_);
		wait_wake(&receiver->w, 0);
	} else if (channel->count_ < channel->capacity_) {
		put(channel, item);
	} else if (try) {
		err = -EAGAIN;
	} else {
		waiter.w.engine = engine;
		err = wait_in_line(&waiter.w, sync_queue(&channel->senders_), until);
	}
	engine_unlock(engine);
	return err;
}

int bp_channel_send(struct bp_channel *channel, const void *item)
{
	return channel_send(channel, item, false, BP_NEVER, __func__);
}

int bp_channel_send_until(struct bp_channel *channel, const void *item, uint64_t deadline_ns)
{
	return channel_send(channel, item, false, deadline_ns, __func__);
}

int bp_channel_try_send(struct bp_channel *channel, const void *item)
{
	return channel_send(channel, item, true, 0, __func__);
}

/** Takes what is there. Return: whether there was anything. Under the lock. */
static bool receive_now(struct bp_channel *channel, void *item)
{
	struct channel_waiter *sender = first_of(&channel->senders_);

	if (!channel->count_ && !sender)
		return false;
	if (channel->count_) {
		get(channel, item);
		if (sender)
			put(channel, sender->item);
	} else {
		memcpy(item, sender->item, channel->item_size_);
	}
	if (sender)
		wait_wake(&sender->w, 0);
	return true;
}

static int channel_recv(struct bp_channel *channel, void *item, bool try, uint64_t until,
			const char *call)
{
	struct channel_waiter waiter = {.w.what = "a message in a channel", .item = item};
	struct bp_engine *engine = channel_enter(channel, call);
	int err = try ? 0 : wait_reason(engine);

	if (!item)
		err = -EINVAL;
	if (!err && !receive_now(channel, item)) {
		if (channel->closed_) {
			err = -EPIPE;
		} else if (try) {
			err = -EAGAIN;
		} else {
			waiter.w.engine = engine;
			err = wait_in_line(&waiter.w, sync_queue(&channel->receivers_), until);
		}
	}
	engine_unlock(engine);
	return err;
}

int bp_channel_recv(struct bp_channel *channel, void *item)
{
	return channel_recv(channel, item, false, BP_NEVER, __func__);
}

int bp_channel_recv_until(struct bp_channel *channel, void *item, uint64_t deadline_ns)
{
	return channel_recv(channel, item, false, deadline_ns, __func__);
}

int bp_channel_try_recv(struct bp_channel *channel, void *item)
{
	return channel_recv(channel, item, true, 0, __func__);
}

void bp_channel_close(struct bp_channel *channel)
{
	struct bp_engine *engine = channel_enter(channel, __func__);

	channel->closed_ = true;
	sync_wake_all(&channel->senders_, -EPIPE);
	sync_wake_all(&channel->receivers_, -EPIPE);
	engine_unlock(engine);
}
