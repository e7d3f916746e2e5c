package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// history is the state of an event that was delivered before. The server counts
// deliveries, and a delivery without a result is mostly no fault of the event: its
// worker was lost, or another event killed the process.
type history struct {
	Failures int    `json:"failures"`
	Reason   string `json:"reason"`  // of the last failure
	Settled  uint64 `json:"settled"` // the last delivery with a result
	// Alone is a delivery that was processed with nothing beside it. Zero means
	// that the function has returned since.
	Alone uint64 `json:"alone"`
}

// suspect reports whether the event may kill its process.
func (h history) suspect(delivery uint64) bool {
	return h.Alone > 0 || delivery > 1 && h.Settled != delivery-1
}

// killed reports whether the process died in the delivery before, with nothing
// beside the event.
func (h history) killed(delivery uint64) bool {
	return h.Alone > 0 && h.Alone == delivery-1 && h.Settled != delivery-1
}

func (h *history) load(ctx context.Context, bucket jetstream.KeyValue, key string) error {
	return retry(ctx, settleLimit, disconnected, func(ctx context.Context) error {
		entry, err := bucket.Get(ctx, key)
		if err == nil {
			return json.Unmarshal(entry.Value(), h)
		}
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		return err
	})
}

func (h *history) save(ctx context.Context, bucket jetstream.KeyValue, key string) error {
	value, _ := json.Marshal(h) // numbers and a text
	return retry(context.WithoutCancel(ctx), settleLimit, disconnected, func(ctx context.Context) error {
		_, err := bucket.Put(ctx, key, value)
		return err
	})
}
