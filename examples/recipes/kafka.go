package recipes

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// StoreInKafka returns a function for NewHandler. It returns nil after all replicas
// in sync have the record. The ID is the key for deduplication by the consumer.
func StoreInKafka(client *kgo.Client, topic string) func(context.Context, *notification.Notification) error {
	return func(ctx context.Context, n *notification.Notification) error {
		record := &kgo.Record{Topic: topic, Key: []byte(n.ID()), Value: n.Raw}
		record.Headers = []kgo.RecordHeader{{Key: "webhook-id", Value: []byte(n.WebhookID)}}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
			return fmt.Errorf("%w: %w", notification.ErrUnavailable, err)
		}
		return nil
	}
}
